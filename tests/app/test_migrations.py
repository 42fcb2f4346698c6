"""A new folder has the tables that are declared; older folders are brought up, newer ones refused in a sentence."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlmodel import SQLModel

from fhirmedia.backends import index_tables, tables
from fhirmedia.backends.chained_table import TABLES
from fhirmedia.backends.folder import Folder, make_folder, migrate_folder, open_folder
from fhirmedia.backends.following import tables as following_tables
from fhirmedia.backends.migrations import SCHEMA_VERSION, STEPS, make_schema
from fhirmedia.backends.migrations.versions import step_0001_baseline
from fhirmedia.core.errors import Category, Failure
from fhirmedia.issuer.minting import mark_demo
from tests.app.commands import command
from tests.servers import serving

DECLARED = (tables, index_tables, following_tables)
ZONE = "Europe/Stockholm"


def shape(connection: sqlite3.Connection) -> dict[str, object]:
    """Tables with their columns and indexes, and triggers, as SQLite understands them."""

    def ask(statement: str) -> list[tuple]:
        return connection.execute(statement).fetchall()

    names = [
        name
        for (name,) in ask("SELECT name FROM sqlite_schema WHERE type = 'table'")
        if name != "alembic_version" and not name.startswith("idx_words")  # which no metadata can declare
    ]
    found: dict[str, object] = {}
    for name in names:
        indexes = []
        for _, index, unique, _, partial in ask(f"PRAGMA index_list({name})"):
            columns = [column for _, _, column in ask(f"PRAGMA index_info({index})")]
            condition = ask(f"SELECT substr(sql, instr(sql, 'WHERE')) FROM sqlite_schema WHERE name = '{index}'")
            name_of = "" if index.startswith("sqlite_autoindex") else index
            indexes.append((name_of, unique, columns, condition if partial else None))
        ((without_rowid, strict),) = ask(f"SELECT wr, strict FROM pragma_table_list('{name}')")
        found[name] = (ask(f"PRAGMA table_info({name})"), sorted(indexes, key=str), without_rowid, strict)
    triggers = ask("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY name")
    found["triggers"] = [(name, " ".join(sql.split())) for name, sql in triggers]
    return found


def test_the_steps_make_what_is_declared(tmp_path: Path) -> None:
    assert DECLARED
    with closing(sqlite3.connect(tmp_path / "made.db", isolation_level=None)) as made:
        make_schema(made)
        assert made.execute("PRAGMA user_version").fetchone() == (int(SCHEMA_VERSION),)
        engine = create_engine(f"sqlite:///{tmp_path / 'declared.db'}")
        SQLModel.metadata.create_all(engine)
        engine.dispose()
        with closing(sqlite3.connect(tmp_path / "declared.db", isolation_level=None)) as declared:
            for statement in TABLES:
                declared.execute(statement)
            assert shape(made) == shape(declared)


def test_every_step_raises_the_version() -> None:
    assert len(list((STEPS / "versions").glob("step_*.py"))) == int(SCHEMA_VERSION)


def age(folder: Folder) -> None:
    """Make a folder claim to be of the version before."""
    (folder.path / "VERSION").write_text("0\n")
    with closing(sqlite3.connect(folder.records, isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version=0")


def test_an_older_folder_is_refused_with_what_to_do(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "data", timezone=ZONE)
    age(folder)
    for words in (("stats",), ("check",), ("serve",)):
        said = command(*words, "--data", folder.path, FHIRMEDIA_ALLOW_VOLATILE_STORAGE="1")
        assert said.code == 1
        assert f"Make a backup, then run `fhirmedia migrate --data {folder.path}`." in said.sentence


def test_an_older_folder_is_brought_to_this_version(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served:
        assert served.put({"resourceType": "Patient", "id": "p"}).status_code == 201
    age(Folder(tmp_path / "data"))
    said = command("migrate", "--data", tmp_path / "data")
    assert said.code == 0
    assert said.out == f"The folder went from version 0 to {SCHEMA_VERSION}.\n"
    again = command("migrate", "--data", tmp_path / "data")
    assert (again.code, again.out) == (0, f"The folder has version {SCHEMA_VERSION} already.\n")
    with serving(tmp_path / "data") as served:
        assert served.http.get(f"{served.base}/Patient/p", headers=served.headers()).status_code == 200
        age(Folder(tmp_path / "data"))
        beside = command("migrate", "--data", tmp_path / "data")
        assert (beside.code, beside.sentence) == (
            1,
            "fhirmedia migrate: The data folder is in use. Stop the server first.",
        )


def in_the_form_of(version: int, folder: Folder) -> None:
    """Make an untouched folder one that the program of an earlier version made."""
    for file in folder.path.glob("records.db*"):
        file.unlink()
    with closing(sqlite3.connect(folder.records, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        for statement in step_0001_baseline.STATEMENTS:
            connection.execute(statement)
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
        connection.execute("INSERT INTO alembic_version VALUES (?)", (f"{version:0>4}",))
        connection.execute("INSERT INTO installation VALUES ('timezone', ?)", (ZONE,))
        connection.execute(f"PRAGMA user_version={version}")
    (folder.path / "VERSION").write_text(f"{version}\n")


def test_contents_that_are_there_already_wait_for_their_texts(tmp_path: Path) -> None:
    for name, number in (("empty", 0), ("full", 1)):
        folder = make_folder(tmp_path / name, timezone=ZONE)
        in_the_form_of(1, folder)
        with closing(sqlite3.connect(folder.records, isolation_level=None)) as connection:
            for _ in range(number):
                connection.execute("INSERT INTO binary_content VALUES ('b', 1, 'text/plain', 'sha256:00')")
        migrate_folder(folder)
        with closing(sqlite3.connect(folder.records)) as connection:
            state = connection.execute("SELECT value FROM idx_state WHERE name = 'texts'").fetchall()
        assert state == [("1 ",)] * number


STORED: list[tuple[str, bool]] = [
    (r'"note":[{"text":"\"contained\":["}]', False),
    ('"contained":[{"resourceType":"Practitioner","id":"a"}]', True),
    ('"identifier":[{"system":"http://electronichealth.se/identifier/personnummer","value":"191212121212"}]', False),
    ('"identifier":[{"system":"http://electronichealth.se/identifier/nationelltReservnummer"}]', True),
    ('"identifier":[{"system":"urn:oid:2.16.578.1.12.4.1.4.3","value":"80000000179"}]', True),
]


@pytest.mark.parametrize(("element", "is_asked"), STORED)
def test_a_folder_with_what_is_indexed_otherwise_now_wants_to_be_indexed_anew(
    tmp_path: Path, element: str, *, is_asked: bool
) -> None:
    folder = make_folder(tmp_path / "data", timezone=ZONE)
    mark_demo(folder.path)
    in_the_form_of(1, folder)
    body = f'{{"resourceType":"Media","id":"m",{element}}}'.encode()
    version = ("Media", "m", 1, 1, "create", body, '{"facts_version":1,"patients":[]}')
    with closing(sqlite3.connect(folder.records, isolation_level=None)) as connection:
        connection.execute(
            "INSERT INTO record_version (type, id, version, sequence, changed_at, method, body, facts)"
            " VALUES (?, ?, ?, ?, 1, ?, ?, ?)", version,
        )  # fmt: skip
    migrate_folder(folder)
    if is_asked:
        with pytest.raises(Failure) as caught:
            open_folder(folder.path, timezone=ZONE, allow_volatile=True)
        assert f"run `fhirmedia reindex --data {folder.path}`" in str(caught.value)
        assert command("reindex", "--data", folder.path).code == 0
    open_folder(folder.path, timezone=ZONE, allow_volatile=True)


@pytest.mark.parametrize("has_names", [True, False])
def test_a_folder_with_names_is_sorted_in_swedish_until_it_is_indexed_anew(tmp_path: Path, *, has_names: bool) -> None:
    folder = make_folder(tmp_path / "data", timezone=ZONE)
    mark_demo(folder.path)
    in_the_form_of(1, folder)
    with closing(sqlite3.connect(folder.records, isolation_level=None)) as connection:
        for _ in range(has_names):
            connection.execute("INSERT INTO idx_string VALUES (1, 'akesson', 256, 'Åkesson', 0)")
    migrate_folder(folder)
    if has_names:
        with pytest.raises(Failure, match="fhirmedia reindex"):
            open_folder(folder.path, timezone=ZONE, allow_volatile=True)
        assert command("reindex", "--data", folder.path).code == 0
    open_folder(folder.path, timezone=ZONE, allow_volatile=True)
    with pytest.raises(Failure, match="indexed for names in sv, FHIRMEDIA_LANGUAGE says nb"):
        open_folder(folder.path, timezone=ZONE, allow_volatile=True, language="nb")


def test_histories_reach_back_before_they_were_served(tmp_path: Path) -> None:
    """Version 1 had no histories of types, and did not tell an update that creates from a create."""
    folder = make_folder(tmp_path / "data", timezone=ZONE)
    mark_demo(folder.path)
    in_the_form_of(1, folder)
    made = "01a20154-511e-7b08-8b5e-eb8556e05d29"
    facts = '{"facts_version":1,"patients":["p"],"unit":"derm"}'
    versions = [
        ("Patient", "p", 1, "create", '{"facts_version":1,"patients":["p"]}'),
        ("Media", made, 1, "create", facts),
        ("Media", made, 2, "delete", facts),
        ("Media", made, 3, "create", facts),
        ("Media", "named", 1, "create", '{"facts_version":1,"patients":["p","q"],"unit":"eyes"}'),
        ("Media", "damaged", 1, "create", "{"),
    ]
    with closing(sqlite3.connect(folder.records, isolation_level=None)) as connection:
        for sequence, (kind, id, version, method, stated) in enumerate(versions, start=1):
            body = f'{{"resourceType":"{kind}","id":"{id}"}}'.encode()
            row = (sequence, kind, id, version, 1_700_000_000_000, method, stated.encode(), body)
            connection.execute("INSERT INTO record_version VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    assert command("migrate", "--data", folder.path).out == f"The folder went from version 1 to {SCHEMA_VERSION}.\n"
    with closing(sqlite3.connect(folder.records)) as connection:
        found = connection.execute("SELECT * FROM version_reach ORDER BY reach, sequence").fetchall()
    assert found == [
        ("sole_patient/p", "Patient", 1),
        *(("sole_patient/p", "Media", sequence) for sequence in (2, 3, 4)),
        *(("unit/derm", "Media", sequence) for sequence in (2, 3, 4)),
        ("unit/eyes", "Media", 5),
    ]
    with serving(folder.path) as served:
        for bound in ({"units": ["derm"]}, {}):
            answer = served.http.get(f"{served.base}/Media/_history", headers=served.headers("user/*.rs", **bound))
            told = [(each["request"]["method"], each["response"]["status"][:3]) for each in answer.json()["entry"]]
            assert told[-3:] == [("PUT", "201"), ("DELETE", "204"), ("POST", "201")]
        assert told[0] == ("PUT", "201")
        assert len(told) == 4  # nobody is shown a version of which nothing is known


@pytest.mark.parametrize("where", ["VERSION", "database"])
def test_a_newer_folder_is_refused(tmp_path: Path, where: str) -> None:
    folder = make_folder(tmp_path / "data", timezone=ZONE)
    if where == "VERSION":
        (folder.path / "VERSION").write_text("99\n")
    else:
        with closing(sqlite3.connect(folder.records, isolation_level=None)) as connection:
            connection.execute("PRAGMA user_version=99")
    for words in (("stats",), ("migrate",), ("serve",), ("backup", "--to", str(tmp_path / "kept"))):
        said = command(*words, "--data", folder.path, FHIRMEDIA_ALLOW_VOLATILE_STORAGE="1")
        assert said.code == 1
        assert "made by a newer fhirmedia" in said.sentence


def test_a_version_that_is_no_number_is_refused(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "data", timezone=ZONE)
    (folder.path / "VERSION").write_text("one\n")
    with pytest.raises(Failure) as caught:
        open_folder(folder.path, timezone=ZONE, allow_volatile=True)
    assert caught.value.category is Category.CONFLICT


STEP = f'''"""A step for the test."""

from alembic import op

revision = "9999"
down_revision = "{SCHEMA_VERSION:0>4}"


def upgrade() -> None:
    """Two statements, of which the second may fail."""
    op.execute("CREATE TABLE extra (one INTEGER)")
    op.execute("{{second}}")
'''


def with_step(tmp_path: Path, second: str) -> Path:
    """A copy of the steps with one more."""
    steps = tmp_path / f"steps-{len(second)}"
    shutil.copytree(STEPS, steps, ignore=shutil.ignore_patterns("__pycache__"))
    (steps / "versions" / "step_9999_extra.py").write_text(STEP.format(second=second))
    return steps


def test_a_step_happens_wholly_or_not_at_all(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "data", timezone=ZONE)

    def state() -> tuple[object, ...]:
        with closing(sqlite3.connect(folder.records)) as connection:
            made = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'extra'").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            step = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
        return made, version, step, (folder.path / "VERSION").read_text()

    with pytest.raises(Exception, match="extra"):
        migrate_folder(folder, steps=with_step(tmp_path, "CREATE TABLE extra (two INTEGER)"), version="9999")
    assert state() == (0, int(SCHEMA_VERSION), f"{SCHEMA_VERSION:0>4}", f"{SCHEMA_VERSION}\n")
    migrate_folder(folder, steps=with_step(tmp_path, "CREATE TABLE more (two INTEGER)"), version="9999")
    assert state() == (1, 9999, "9999", "9999\n")
