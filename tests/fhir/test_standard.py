"""The table of the standard: every row is carried out, or names tests that exist, or gives a reason."""

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.access.records import places, put
from tests.fhir.standard import binary, http_bundles, http_general, http_lists, http_resources, references
from tests.fhir.standard.rows import Desk, Row
from tests.servers import serving

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = {"http", "bundle", "search", "references", "binary"}
PARTS = (http_general, http_resources, http_lists, http_bundles, references, binary)
ROWS: list[Row] = [row for part in PARTS for table in part.TABLES for row in table.rows]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with serving(tmp_path_factory.mktemp("standard") / "data") as served:
        put(served, *places())
        yield Desk(served, served.headers(), served.importer())


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(function.name for function in functions if function.name.startswith("test_"))


@pytest.mark.parametrize("row", [row for row in ROWS if row.check], ids=lambda row: row.name)
def test_row(desk: Desk, row: Row) -> None:
    assert row.check is not None
    row.check(desk)


@pytest.mark.parametrize("row", [row for row in ROWS if row.shown], ids=lambda row: row.name)
def test_what_shows_a_row_exists(row: Row) -> None:
    for shown in row.shown:
        path, _, name = shown.partition("::")
        assert names_in(path)
        assert name == "*" or name in names_in(path), shown


def test_the_table_is_whole(record_property: Callable[[str, object], None]) -> None:
    assert {row.section.partition("#")[0] for row in ROWS} == PAGES
    repeated = [name for name, count in Counter(row.name for row in ROWS).items() if count > 1]
    assert repeated == []
    for row in ROWS:
        assert [bool(row.check), bool(row.shown), bool(row.reason)].count(True) == 1, row.name
        assert row.reason is None or len(row.reason.split()) >= 3, row.name
    for force in ("SHALL", "SHOULD"):
        rows = [row for row in ROWS if row.force == force]
        record_property(f"sentences with {force}", len(rows))
        record_property(f"sentences with {force} set apart with a reason", sum(1 for row in rows if row.reason))
