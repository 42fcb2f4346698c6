"""`fhirmedia stats` counts what there is, beside a server."""

import csv
import io
import json
from pathlib import Path

from tests.app.commands import a_media, command, furnish, require
from tests.servers import serving


def test_counts_follow_what_is_written(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served:
        furnish(served, number=5)
        said = command("stats", "--data", tmp_path / "data", "--json")
        assert said.code == 0
        counts = json.loads(said.out)
        body = require(served.http.get(f"{served.base}/Patient/p", headers=served.importer())).content
        assert counts["types"]["Patient"] == {
            "current": 1,
            "current_bytes": len(body),
            "deleted": 0,
            "versions": 1,
            "version_bytes": len(body),
        }
        media = counts["types"]["Media"]
        assert (media["current"], media["deleted"], media["versions"]) == (4, 1, 7)
        assert 0 < media["current_bytes"] < media["version_bytes"]
        assert counts["types"]["Binary"]["current"] == 6
        contents = [b"picture %d " % number * 50 for number in range(5)] + [b"nobody wants this"]
        assert counts["contents"] == {"text/plain": {"binaries": 6, "bytes": sum(map(len, contents))}}
        assert (counts["objects"], counts["object_bytes"]) == (6, sum(map(len, contents)))
        assert counts["unclaimed"] == 1
        require(served.put(a_media("another")))
        again = json.loads(command("stats", "--data", tmp_path / "data", "--json").out)
        assert again["types"]["Media"]["current"] == 5
        assert again["changes_audited"] == counts["changes_audited"] + 1


def test_the_table_says_the_same(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served:
        furnish(served, number=5)
    said = command("stats", "--data", tmp_path / "data")
    lines = {line.split()[0]: line.split() for line in said.out.splitlines() if line.strip()}
    assert lines["Media"][1] == "4"
    assert "6 different contents" in said.out
    assert "1 uploads that no record ever referred to" in said.out


def test_an_empty_folder_and_none(tmp_path: Path) -> None:
    with serving(tmp_path / "data"):
        pass
    said = command("stats", "--data", tmp_path / "data", "--json")
    assert json.loads(said.out)["types"] == {}
    none = command("stats", "--data", tmp_path / "nowhere")
    assert none.code == 1
    assert none.sentence == f"fhirmedia stats: {tmp_path / 'nowhere'} is not a data folder of fhirmedia."
    assert command("stats", "--data").code == 2


DEPARTMENTS = "https://fhirmedia.org/CodeSystem/department"


def a_table(text: str, separator: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=separator))


def line(rows: list[dict[str, str]], **named: str) -> dict[str, str]:
    (found,) = (row for row in rows if all(row[name] == value for name, value in named.items()))
    return found


def test_the_same_as_rows_for_a_spreadsheet(tmp_path: Path) -> None:
    path, file = tmp_path / "data", tmp_path / "stats.csv"
    with serving(path) as served:
        furnish(served, number=4)
        tag = {"tag": [{"system": DEPARTMENTS, "code": "derm"}]}
        require(served.put(a_media("tagged", "picture-2", meta=tag, createdDateTime="2023-12-31T23:30:00Z")))
        other = {"tag": [{"system": DEPARTMENTS, "code": "=1+1"}, {"system": DEPARTMENTS, "code": "derm"}]}
        require(served.put(a_media("odd", meta=other, createdDateTime="2023")))
        said = command("stats", "--data", path, "--csv")
        counts = json.loads(command("stats", "--data", path, "--json").out)
        assert command("stats", "--data", path, "--csv", file, "--separator", "semicolon").out == ""
    rows = a_table(said.out)
    content = file.read_bytes()
    assert content.startswith(b"\xef\xbb\xbfby;type;")
    assert content.count(b"\r\n") == content.count(b"\n") == len(rows) + 1
    assert a_table(content.decode("utf-8-sig"), ";") == rows

    media = counts["types"]["Media"]
    assert line(rows, by="type", type="Media") == {
        **dict.fromkeys(rows[0], ""),
        "by": "type",
        "type": "Media",
        "number": str(media["current"]),
        "json_bytes": str(media["current_bytes"]),
        "deleted": "1",
        "versions": str(media["versions"]),
        "all_json_bytes": str(media["version_bytes"]),
    }
    assert line(rows, by="media type")["content_bytes"] == str(counts["contents"]["text/plain"]["bytes"])
    assert line(rows, by="different contents")["number"] == str(counts["objects"])
    derm = line(rows, by="department", value="derm")
    assert (derm["type"], derm["system"], derm["number"]) == ("Media", DEPARTMENTS, "2")
    assert derm["content_bytes"] == str(len(b"picture 2 " * 50))
    assert line(rows, by="department", value="'=1+1")["number"] == "1"  # no formula
    assert line(rows, by="year", value="2023")["number"] == "1"
    assert line(rows, by="year", value="2024")["number"] == "1"  # already 2024 in Stockholm
    assert line(rows, by="year", value="2026")["number"] == "3"
    assert line(rows, by="year", value="2026")["content_bytes"] == str(3 * len(b"picture 2 " * 50))


def test_csv_is_taught_and_misuse_refused(tmp_path: Path) -> None:
    taught = command("stats", "--help").out
    assert all(word in taught for word in ("--csv", "content_bytes", "semicolon", "department", "audited changes"))
    with serving(tmp_path / "data"):
        pass
    assert command("stats", "--data", tmp_path / "data", "--csv", "--json").code == 2
    said = command("stats", "--data", tmp_path / "data", "--csv", tmp_path / "nowhere" / "x.csv")
    assert (said.code, "cannot be written" in said.sentence) == (1, True)
    empty = a_table(command("stats", "--data", tmp_path / "data", "--csv").out)
    assert {row["by"] for row in empty} == {"different contents", "uploads nobody referred to", "audited changes"}
