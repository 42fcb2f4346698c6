"""`fhirmedia audit verify` runs beside a server, and names what was done to a log."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.app.commands import command, furnish
from tests.servers import serving


def alter(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for name in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name[0]}")
        for statement in statements:
            connection.execute(statement)


def test_an_audit_as_it_was_written_is_proven(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served:
        furnish(served)
        said = command("audit", "verify", "--data", tmp_path / "data")
        assert said.code == 0, said.out
        assert said.out.splitlines()[-1].endswith("the audit is as it was written")
    report = json.loads(command("audit", "verify", "--data", tmp_path / "data", "--json").out)
    assert report["sound"] is True
    logs = {log["log_id"]: log for log in report["logs"]}
    assert logs["changes"]["rows"] > 20
    assert logs["disclosures-0"]["rows"] > 0
    assert logs["disclosures-0"]["attested"] == logs["disclosures-0"]["rows"]


def test_the_first_row_that_is_not_as_written_is_named(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served:
        furnish(served)
    alter(tmp_path / "data" / "records.db", "DELETE FROM audit_row WHERE sequence = 4")
    said = command("audit", "verify", "--data", tmp_path / "data")
    assert said.code == 1
    assert "changes: row 4 removed:" in said.out
    assert "NOT as it was written" in said.out
    report = json.loads(command("audit", "verify", "--data", tmp_path / "data", "--json").out)
    assert report["breaches"][0]["sequence"] == 4


def test_an_end_cut_off_behind_a_checkpoint_is_named(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served:
        furnish(served)
    alter(
        tmp_path / "data" / "audit" / "disclosures-0.1.db",
        "DELETE FROM audit_row WHERE sequence = (SELECT max(sequence) FROM audit_row)",
    )
    said = command("audit", "verify", "--data", tmp_path / "data")
    assert said.code == 1
    assert "truncated" in said.out


def test_without_the_key_nothing_is_proven(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served:
        furnish(served)
    (tmp_path / "data" / "keys" / "audit.pem").unlink()
    said = command("audit", "verify", "--data", tmp_path / "data")
    assert said.code == 1
    assert "keys/audit.pem is gone" in said.sentence
    assert not (tmp_path / "data" / "keys" / "audit.pem").exists()


def test_a_folder_nobody_ever_served_is_sound(tmp_path: Path) -> None:
    from tests.servers import make_demo_folder

    make_demo_folder(tmp_path / "data")
    assert command("audit", "verify", "--data", tmp_path / "data").code == 0
    assert command("audit", "verify", "--data", tmp_path / "nowhere").code == 1
    assert command("audit", "--data", tmp_path / "data").code == 2
