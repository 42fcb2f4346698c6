"""`fhirmedia check` beside a server changes nothing; repairing wants the folder alone; damage is said in sentences."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.app.commands import a_media, command, furnish, port_of, require
from tests.servers import serving

NARRATIVE = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">about Zorn</div>'}


def alter(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path / "records.db", isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path / "records.db")) as connection:
        return list(connection.iterdump())


def test_it_runs_beside_a_server_and_changes_nothing(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served:
        furnish(served)
        before = dump(tmp_path / "data")
        said = command("check", "--data", tmp_path / "data", "--bytes", "--json", "--port", port_of(served))
        assert said.code == 0
        report = json.loads(said.out)
        assert report["sound"] is True
        assert (report["damages"], report["findings"], report["objects"]) == (0, [], 11)
        assert dump(tmp_path / "data") == before


def test_the_order_of_what_was_sent_damages_nothing(tmp_path: Path) -> None:
    """Words are indexed in the order of the text, and `meta` is stored first wherever it stood."""
    tagged = {"resourceType": "Patient", "id": "last", "name": [{"family": "Zorn"}], "text": NARRATIVE}
    tagged["meta"] = {"tag": [{"system": "urn:x", "code": "z", "display": "Zebra"}]}
    organization = {"resourceType": "Organization", "id": "skin", "active": True, "name": "Skin of the House"}
    encounter = {
        "id": "e",
        "status": "finished",
        "class": {"code": "AMB", "display": "Ambulatory"},
        "resourceType": "Encounter",
        "subject": {"reference": "Patient/last"},
        "serviceProvider": {"reference": "Organization/skin"},
    }
    with serving(tmp_path / "data") as served:
        for resource in (tagged, organization, encounter):
            url = f"{served.base}/{resource['resourceType']}/{resource['id']}"
            require(served.http.put(url, json=resource, headers=served.importer()))
        said = command("check", "--data", tmp_path / "data", "--port", port_of(served))
    assert said.code == 0, said.out


def test_repair_wants_the_folder_alone(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served:
        furnish(served)
        port = port_of(served)
        said = command("check", "--data", tmp_path / "data", "--repair", "--port", port)
        assert said.code == 1
        assert said.sentence == "fhirmedia check: The data folder is in use. Stop the server first."
    alter(tmp_path / "data", "UPDATE res_row SET unit = 'other' WHERE id = 'm2'", "DELETE FROM binary_referrer")
    found = command("check", "--data", tmp_path / "data", "--port", port)
    assert found.code == 1
    assert "index     damage  Media/m2  has other rows in the search index than it should" in found.out
    assert "damaged" in found.out.splitlines()[-1]
    mended = command("check", "--data", tmp_path / "data", "--repair", "--port", port)
    assert mended.code == 0, mended.out
    assert mended.out.splitlines()[-1].endswith("checked: sound")
    assert command("audit", "verify", "--data", tmp_path / "data").code == 0


def test_claims_are_not_settled_where_something_is_lost(tmp_path: Path) -> None:
    """A Binary whose referrer is lost must not become an unclaimed one, which would be swept."""
    with serving(tmp_path / "data") as served:
        furnish(served)
        port = port_of(served)
    alter(tmp_path / "data", "DELETE FROM record_version WHERE id = 'm3'", "DELETE FROM binary_referrer")
    assert command("check", "--data", tmp_path / "data", "--repair", "--port", port).code == 1
    with closing(sqlite3.connect(tmp_path / "data" / "records.db")) as connection:
        unclaimed = connection.execute("SELECT binary_id FROM unclaimed_binary").fetchall()
    assert unclaimed == [("loose",)]


def test_what_was_repaired_is_found_again(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served:
        furnish(served)
        port = port_of(served)
    alter(
        tmp_path / "data",
        "DELETE FROM idx_patient",
        "UPDATE record_version SET facts = '{\"facts_version\":1}' WHERE type = 'Media'",
    )
    assert command("check", "--data", tmp_path / "data", "--repair", "--port", port).code == 0
    with serving(tmp_path / "data") as served:
        headers = served.headers("patient/*.rs", patient="p")
        found = require(served.http.get(f"{served.base}/Media?patient=p&_summary=count", headers=headers)).json()
        assert found["total"] == 9
        require(served.http.get(f"{served.base}/Binary/picture-2", headers=headers))


def test_many_findings_are_counted_and_cut_short(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served:
        headers = served.importer()
        require(served.put({"resourceType": "Patient", "id": "p"}, headers))
        require(served.put(a_media("m"), headers))
        port = port_of(served)
    rows = "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 1600)"
    alter(
        tmp_path / "data", f"INSERT INTO idx_uri (param, value, rid, grp) {rows} SELECT 1, 'x', i * 256 + 255, 0 FROM n"
    )
    said = command("check", "--data", tmp_path / "data", "--port", port)
    assert said.code == 1
    assert "… and 501 more" in said.out
    assert "1,501 damaged" in said.out


def test_a_damaged_database_is_said_in_a_sentence(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served:
        furnish(served)
        port = port_of(served)
    records = tmp_path / "data" / "records.db"
    content = records.read_bytes()
    hurt = bytearray(content)
    for page in range(2, len(content) // 4096):
        hurt[page * 4096 : page * 4096 + 200] = bytes(200)
    records.write_bytes(hurt)
    said = command("check", "--data", tmp_path / "data", "--port", port)
    assert said.code == 1
    assert "Traceback" not in said.err
    records.write_bytes(b"this is no database at all " * 1000)
    gone = command("check", "--data", tmp_path / "data", "--port", port)
    assert gone.code == 1
    assert gone.sentence.endswith("cannot be read; restore a backup into another folder.")


def test_a_missing_table_is_said_in_a_sentence(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served:
        furnish(served)
        port = port_of(served)
    alter(tmp_path / "data", "DROP TABLE idx_quantity")
    said = command("check", "--data", tmp_path / "data", "--port", port)
    assert said.code == 1
    assert "database  damage  idx_quantity  is a table that is missing" in said.out


def test_a_folder_without_an_address_says_what_is_missing(tmp_path: Path) -> None:
    with serving(tmp_path / "data"):
        pass
    (tmp_path / "data" / "DEMO").unlink()
    said = command("check", "--data", tmp_path / "data")
    assert said.code == 1
    assert "FHIRMEDIA_PUBLIC_URL" in said.sentence
    assert command("check", "--data", tmp_path / "data", FHIRMEDIA_PUBLIC_URL="https://archive.example").code == 0
