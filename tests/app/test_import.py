"""`fhirmedia import`: resources keep their ids, files become Binaries, and what becomes of each is said."""

import base64
import json
import os
from collections.abc import Iterator
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
ALONE = {**MEDIA, "content": {"title": "photograph"}}


@pytest.fixture(autouse=True)
def _rights_of_new_files() -> Iterator[None]:
    """A command leaves what its process writes to its owner alone; tests that come later want to be read."""
    umask = os.umask(0o077)
    yield
    os.umask(umask)


def ndjson(path: Path, *rows: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def bundle(path: Path, kind: str, *entries: dict[str, Any]) -> str:
    path.write_text(json.dumps({"resourceType": "Bundle", "type": kind, "entry": list(entries)}))
    return str(path)


def imported(folder: Path, *words: str) -> tuple[int, list[dict[str, Any]]]:
    """The exit code and the lines of outcomes."""
    lines = folder.parent / "outcomes.ndjson"
    code = main(["import", "--data", str(folder), *words, "--outcomes", str(lines)])
    return code, [json.loads(line) for line in lines.read_text().splitlines()]


def became(outcomes: list[dict[str, Any]]) -> dict[str, str]:
    return {row.get("resource", row["place"]): row["outcome"] for row in outcomes}


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


def test_the_same_again_makes_no_version_and_a_change_makes_one(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "letter.txt").write_text("hej")
    manifest = ndjson(
        tmp_path / "files.ndjson", {"binary": "letter", "file": "letter.txt", "contentType": "text/plain"}
    )
    inline = {
        **MEDIA,
        "id": "m2",
        "content": {"contentType": "text/plain", "data": base64.b64encode(b"inline").decode()},
    }
    binary = {"resourceType": "Binary", "id": "b1", "contentType": "text/plain", "data": "aGVq"}
    source = ndjson(tmp_path / "all.ndjson", PATIENT, MEDIA, inline, binary)
    words = (source, "--files", manifest)
    code, first = imported(folder, *words)
    assert (code, set(became(first).values())) == (0, {"stored"})
    code, second = imported(folder, *words)
    assert (code, set(became(second).values()), {row["version"] for row in second}) == (0, {"unchanged"}, {1})
    ndjson(tmp_path / "all.ndjson", PATIENT, {**MEDIA, "deviceName": "DL5"}, inline, binary)
    code, third = imported(folder, *words)
    assert {row["resource"]: row["version"] for row in third} == {
        "Patient/p1": 1,
        "Media/m1": 2,
        "Media/m2": 1,
        "Binary/b1": 1,
    }
    with serving(folder) as served:
        headers = {**served.headers("user/*.rs"), "Accept": "text/plain"}
        media = served.http.get(f"{served.base}/Media/m2", headers=served.headers("user/*.rs")).json()
        address = media["content"]["url"]
        assert served.http.get(f"{served.base}/{address}", headers=headers).content == b"inline"


def test_what_is_refused_is_named_and_the_rest_is_stored(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {"resourceType": "Patient", "id": "p2", "birthDate": "yesterday"}
    source = ndjson(tmp_path / "Patient.ndjson", PATIENT, wrong, {**MEDIA, "subject": {"reference": "Patient/nobody"}})
    code, outcomes = imported(folder, source)
    assert code == 1
    assert became(outcomes) == {"Patient/p1": "stored", "Patient/p2": "refused", "Media/m1": "refused"}
    by_resource = {row["resource"]: row for row in outcomes}
    assert by_resource["Patient/p2"]["place"] == "Patient.ndjson, line 2"
    assert by_resource["Patient/p2"]["issues"][0]["expression"] == "Patient.birthDate"
    said = capsys.readouterr()
    assert "1 stored, 0 unchanged, 2 refused" in said.out
    assert "Patient.ndjson, line 2: Patient/p2" in said.err
    assert "yesterday" not in said.err


def test_what_is_referred_to_may_come_later(tmp_path: Path, folder: Path) -> None:
    many = [{**PATIENT, "id": f"q{number}"} for number in range(200)]
    source = ndjson(tmp_path / "all.ndjson", ALONE, *many, PATIENT)
    code, outcomes = imported(folder, source)
    assert code == 0
    assert len(outcomes) == 202
    assert outcomes[-1]["resource"] == "Media/m1"


def test_circles_across_transactions_come_in(tmp_path: Path, folder: Path) -> None:
    """And so does what refers to them; what leads nowhere does not keep them out."""

    def linked(number: int, to: int | str) -> dict[str, Any]:
        link = [{"other": {"reference": f"Patient/q{to}"}, "type": "seealso"}]
        return {"resourceType": "Patient", "id": f"q{number}", "link": link}

    circles = [linked(number, (number + 50) % 100) for number in range(100)]
    source = ndjson(tmp_path / "all.ndjson", linked(300, 0), linked(301, "-absent"), *circles)
    code, outcomes = imported(folder, source)
    expected = {f"Patient/{each['id']}": "stored" for each in [linked(300, 0), *circles]}
    assert became(outcomes) == expected | {"Patient/q301": "refused"}
    assert (code, len(outcomes)) == (1, 102)


def test_of_states_of_one_resource_the_last_stays(tmp_path: Path, folder: Path) -> None:
    """Even where the first has to wait for what it refers to, and where they stand in neighbouring transactions."""
    patients = [{**PATIENT, "id": "q", "birthDate": f"19{number:02}"} for number in range(20)]
    waiting = [ALONE, {"resourceType": "Patient", "id": "other"}, {**ALONE, "subject": {"reference": "Patient/other"}}]
    source = ndjson(tmp_path / "all.ndjson", *waiting, *patients, {**PATIENT, "id": "p1"})
    code, outcomes = imported(folder, source)
    assert code == 0
    versions = [row["version"] for row in outcomes if row["resource"] == "Patient/q"]
    assert versions == list(range(1, 21))
    with serving(folder) as served:
        headers = served.headers("user/*.rs")
        assert served.http.get(f"{served.base}/Patient/q", headers=headers).json()["birthDate"] == "1919"
        media = served.http.get(f"{served.base}/Media/m1", headers=headers).json()
        assert media["subject"] == {"reference": "Patient/other"}


def test_references_that_decide_access_are_checked_unless_told_otherwise(tmp_path: Path, folder: Path) -> None:
    words = ["import", "--data", str(folder), ndjson(tmp_path / "Media.ndjson", ALONE)]
    assert main(words) == 1
    assert main([*words, "--references", "off"]) == 0


@pytest.mark.parametrize("kind", ["collection", "searchset", "batch", "transaction"])
def test_the_entries_of_a_bundle_come_in_and_refer_to_each_other(tmp_path: Path, folder: Path, kind: str) -> None:
    urn = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    new = {name: value for name, value in PATIENT.items() if name != "id"}
    request = {"request": {"method": "POST", "url": "Patient"}} if kind in {"batch", "transaction"} else {}
    source = bundle(
        tmp_path / "all.json",
        kind,
        {"resource": {**ALONE, "subject": {"reference": urn}}},
        {"fullUrl": urn, "resource": new, **request},
        {"resource": {**new, "name": [{"text": "Without a name of its own"}]}, **request},
    )
    code, outcomes = imported(folder, source)
    assert (code, [row["outcome"] for row in outcomes]) == (0, ["stored"] * 3)
    assert outcomes[1]["resource"] == "Patient/0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    assert became(imported(folder, source)[1]) == dict.fromkeys((row["resource"] for row in outcomes), "unchanged")
    with serving(folder) as served:
        media = served.http.get(f"{served.base}/Media/m1", headers=served.headers("user/*.rs")).json()
        assert media["subject"]["reference"] == outcomes[1]["resource"]


@pytest.mark.parametrize(
    ("kind", "entry", "reason"),
    [
        ("history", {"resource": PATIENT}, "must be one of"),
        ("transaction", {"request": {"method": "DELETE", "url": "Patient/p1"}}, "sent to the server"),
        ("transaction", {"resource": PATIENT, "request": {"method": "POST", "ifNoneExist": "x=y"}}, "condition"),
        ("batch", {"resource": PATIENT, "request": {"method": "PUT", "url": "Patient?name=x"}}, "condition"),
        ("collection", {"fullUrl": "http://example.org/Patient/1"}, "no resource"),
        ("collection", {"resource": {"id": "x"}}, "resourceType and id"),
    ],
)
def test_what_is_no_resource_to_store_is_refused_by_its_place(
    tmp_path: Path, folder: Path, kind: str, entry: dict[str, Any], reason: str
) -> None:
    code, outcomes = imported(folder, bundle(tmp_path / "all.json", kind, entry))
    assert (code, len(outcomes), outcomes[0]["outcome"]) == (1, 1, "refused")
    assert outcomes[0]["place"].startswith("all.json")
    assert reason in outcomes[0]["issues"][0]["text"]


def test_a_folder_comes_in_whole_with_the_files_its_manifest_names(tmp_path: Path, folder: Path) -> None:
    source = tmp_path / "export"
    source.mkdir()
    ndjson(source / "a-Media.ndjson", MEDIA)
    ndjson(source / "b-Patient.ndjson", PATIENT)
    bundle(source / "c.json", "collection", {"resource": {**PATIENT, "id": "p2"}})
    (source / "d.json").write_text(json.dumps({**PATIENT, "id": "p3"}, indent=1))
    (source / "letter.txt").write_text("hej")
    ndjson(source / "manifest.ndjson", {"binary": "letter", "file": "letter.txt", "contentType": "text/plain"})
    code, outcomes = imported(folder, str(source))
    assert code == 0
    assert [row["resource"] for row in outcomes] == ["Patient/p1", "Patient/p2", "Patient/p3", "Media/m1"]


@pytest.mark.parametrize("line", ["no json", "[]", '{"resourceType": "Patient"}', '{"id": "a", "id": "b"}'])
def test_a_line_that_is_no_resource_is_named_by_its_place(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    (tmp_path / "broken.ndjson").write_text(f"{line}\n{json.dumps(PATIENT)}\n")
    assert main(["import", "--data", str(folder), str(tmp_path / "broken.ndjson")]) == 1
    said = capsys.readouterr()
    assert "broken.ndjson, line 1" in said.err
    assert "1 stored, 0 unchanged, 1 refused" in said.out


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
