"""`fhirmedia reindex` builds the same index from the records, or one for another time zone, with the folder alone."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from fhirmedia.backends import reindexing
from fhirmedia.backends.folder import open_folder
from fhirmedia.core.errors import Failure
from fhirmedia.core.settings import Settings
from tests.app.commands import a_media, command, furnish, port_of, require
from tests.servers import Served, serving

STOCKHOLM, KATHMANDU = "Europe/Stockholm", "Asia/Kathmandu"


def rows(path: Path, statement: str) -> list[tuple]:
    with closing(sqlite3.connect(f"file:{path / 'records.db'}?mode=ro", uri=True)) as connection:
        return connection.execute(statement).fetchall()


def answers(served: Served) -> list[object]:
    """What searches say."""
    headers = served.importer()
    searches = (
        "Media?patient=p&_sort=-when",
        "Media?created=2026-03-04",
        "Media?status=completed&_sort=_id",
        "Patient",
    )
    pages = [require(served.http.get(f"{served.base}/{search}", headers=headers)).json() for search in searches]
    return [[(entry["resource"]["id"], entry["resource"]["meta"]) for entry in page.get("entry", ())] for page in pages]


def test_it_wants_the_folder_alone(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served:
        furnish(served)
        said = command("reindex", "--data", tmp_path / "data", "--port", port_of(served))
    assert said.code == 1
    assert said.sentence == "fhirmedia reindex: The data folder is in use. Stop the server first."


def test_searches_answer_as_before(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served:
        furnish(served)
        before, port = answers(served), port_of(served)
        assert any(before)
    said = command("reindex", "--data", tmp_path / "data", "--port", port)
    assert said.code == 0
    assert said.out.startswith("10 resources are in the index")
    assert command("check", "--data", tmp_path / "data", "--port", port).code == 0
    with serving(tmp_path / "data") as served:
        assert answers(served) == before


def test_an_index_that_is_lost_comes_back(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served:
        furnish(served)
        before, port = answers(served), port_of(served)
    with closing(sqlite3.connect(tmp_path / "data" / "records.db", isolation_level=None)) as connection:
        for name in ("res_row", "idx_patient", "idx_token", "idx_date", "idx_reference", "idx_string"):
            connection.execute(f"DELETE FROM {name}")
    assert command("check", "--data", tmp_path / "data", "--port", port).code == 1
    assert command("reindex", "--data", tmp_path / "data", "--port", port).code == 0
    with serving(tmp_path / "data") as served:
        assert answers(served) == before


def test_another_time_zone_is_taken_over(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served:
        furnish(served)
        port = port_of(served)
    refused = command("check", "--data", tmp_path / "data", "--port", port, FHIRMEDIA_TIMEZONE=KATHMANDU)
    assert refused.code == 1
    assert "`fhirmedia reindex" in refused.sentence
    done = command("reindex", "--data", tmp_path / "data", "--port", port, FHIRMEDIA_TIMEZONE=KATHMANDU)
    assert done.code == 0
    assert KATHMANDU in done.out
    assert command("check", "--data", tmp_path / "data", "--port", port, FHIRMEDIA_TIMEZONE=KATHMANDU).code == 0
    assert command("check", "--data", tmp_path / "data", "--port", port).code == 1
    with serving(tmp_path / "data", Settings(environment="test", timezone=KATHMANDU)) as served:
        headers = served.importer()
        require(served.put(a_media("late", createdDateTime="2026-03-03T20:00:00Z"), headers))
        url = f"{served.base}/Media?created=2026-03-04&_id=late,m2&_summary=count"
        # 20:00 in Greenwich is a quarter to two of the next day in Kathmandu.
        assert require(served.http.get(url, headers=headers)).json()["total"] == 2


def test_another_language_is_taken_over(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served:
        for id, family in (("a", "Åkesson"), ("o", "Ødegård"), ("z", "Zorn")):
            require(served.put({"resourceType": "Patient", "id": id, "name": [{"family": family}]}))
        port = port_of(served)

    def order(served: Served) -> list[str]:
        found = require(served.http.get(f"{served.base}/Patient?_sort=family", headers=served.importer()))
        assert found.json()["link"][0]["url"].endswith("/Patient?_sort=family")
        return [entry["resource"]["id"] for entry in found.json()["entry"]]

    with serving(tmp_path / "data") as served:
        assert order(served) == ["z", "a", "o"]
    refused = command("check", "--data", tmp_path / "data", "--port", port, FHIRMEDIA_LANGUAGE="nb")
    assert (refused.code, "FHIRMEDIA_LANGUAGE says nb" in refused.sentence) == (1, True)
    done = command("reindex", "--data", tmp_path / "data", "--port", port, FHIRMEDIA_LANGUAGE="nb")
    assert (done.code, "the alphabet of nb" in done.out) == (0, True)
    assert command("check", "--data", tmp_path / "data", "--port", port, FHIRMEDIA_LANGUAGE="nb").code == 0
    assert command("check", "--data", tmp_path / "data", "--port", port).code == 1
    with serving(tmp_path / "data", Settings(environment="test", language="nb")) as served:
        assert order(served) == ["z", "o", "a"]


def test_an_interrupted_rebuild_is_not_served(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served:
        furnish(served)
        port = port_of(served)

    def entries_of(record: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reindexing.reindex(
            tmp_path / "data" / "records.db", entries_of, timezone=STOCKHOLM, on_progress=lambda number: None
        )
    with pytest.raises(Failure, match="fhirmedia reindex"):
        open_folder(tmp_path / "data", timezone=STOCKHOLM, allow_volatile=True)
    assert command("stats", "--data", tmp_path / "data").code == 0
    assert command("reindex", "--data", tmp_path / "data", "--port", port).code == 0
    assert command("check", "--data", tmp_path / "data", "--port", port).code == 0
