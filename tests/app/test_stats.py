"""`fhirmedia stats` counts what there is, beside a server."""

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
