"""`fhirmedia import`: resources keep their ids, files become Binaries, and what is refused is said."""

import json
from pathlib import Path
from typing import Any

import pytest

from fhirmedia.cli.main import main
from tests.servers import make_demo_folder, serving

PATIENT: dict[str, Any] = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Berg"}]}
MEDIA: dict[str, Any] = {
    "resourceType": "Media",
    "id": "m1",
    "status": "completed",
    "subject": {"reference": "Patient/p1"},
    "content": {"contentType": "text/plain", "url": "Binary/letter"},
}


def ndjson(path: Path, *rows: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_demo_folder(tmp_path / "data").path


def test_resources_and_files_come_in_with_their_ids(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "letter.txt").write_text("hej")
    manifest = ndjson(
        tmp_path / "files.ndjson", {"binary": "letter", "file": "letter.txt", "contentType": "text/plain"}
    )
    sources = [ndjson(tmp_path / "Patient.ndjson", PATIENT), ndjson(tmp_path / "Media.ndjson", MEDIA)]
    assert main(["import", "--data", str(folder), *sources, "--files", manifest]) == 0
    with serving(folder) as served:
        headers = served.headers("user/*.rs")
        media = served.http.get(f"{served.base}/Media/m1", headers=headers).json()
        assert (media["content"]["size"], media["subject"]) == (3, MEDIA["subject"])
        plain = {**headers, "Accept": "text/plain"}
        assert served.http.get(f"{served.base}/Binary/letter", headers=plain).content == b"hej"


def test_what_is_refused_is_named_and_the_rest_is_stored(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {"resourceType": "Patient", "id": "p2", "birthDate": "yesterday"}
    assert main(["import", "--data", str(folder), ndjson(tmp_path / "Patient.ndjson", PATIENT, wrong)]) == 1
    said = capsys.readouterr()
    assert "1 stored, 1 refused" in said.out
    assert "Patient/p2" in said.err
    assert "yesterday" not in said.err


def test_references_that_decide_access_are_checked_unless_told_otherwise(tmp_path: Path, folder: Path) -> None:
    alone = {**MEDIA, "content": {"title": "photograph"}}
    words = ["import", "--data", str(folder), ndjson(tmp_path / "Media.ndjson", alone)]
    assert main(words) == 1
    assert main([*words, "--references", "off"]) == 0


@pytest.mark.parametrize("line", ["no json", "[]", '{"resourceType": "Patient"}'])
def test_a_line_that_is_no_resource_is_named_by_its_place(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    (tmp_path / "broken.ndjson").write_text(line + "\n")
    assert main(["import", "--data", str(folder), str(tmp_path / "broken.ndjson")]) == 1
    assert "broken.ndjson, line 1" in capsys.readouterr().err


@pytest.mark.parametrize("row", [{"binary": "b"}, {"binary": "b", "file": "absent", "contentType": "text/plain"}])
def test_a_manifest_that_names_no_file_is_refused(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str], row: dict[str, str]
) -> None:
    manifest = ndjson(tmp_path / "files.ndjson", row)
    source = ndjson(tmp_path / "Patient.ndjson", PATIENT)
    assert main(["import", "--data", str(folder), source, "--files", manifest]) == 1
    assert "files.ndjson, line 1" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_named_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "--data", str(tmp_path / "data"), str(tmp_path / "absent.ndjson")]) == 1
    assert "absent.ndjson is not a file" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()
