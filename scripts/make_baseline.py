"""Writes the first migration from the tables as they are declared: scripts/make_baseline.py [--check].

Only until the first release: from then on the baseline is history, and a change of the tables is a step of its own.
With --check nothing is written; exit code 1 says that the file is not what would be written.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlmodel import SQLModel

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fhirmedia.backends import index_tables, tables
from fhirmedia.backends.chained_table import TABLES

ROOT = Path(__file__).resolve().parent.parent
BASELINE = ROOT / "fhirmedia/backends/migrations/versions/step_0001_baseline.py"
DECLARED = (tables, index_tables)
"""Imported for the tables they declare."""

LONGEST = 105
HEAD = '''"""The first schema: records, contents, index, and the chained log of changes."""

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = (
'''
TAIL = ''')
"""In SQLite's words; frozen: later changes are steps of their own."""


def upgrade() -> None:
    """Make every table of an empty database."""
    for statement in STATEMENTS:
        op.execute(statement)
'''


def statements() -> Iterator[str]:
    """What makes every table and index, then the append-only log."""
    dialect = sqlite.dialect()
    for table in SQLModel.metadata.sorted_tables:
        yield str(CreateTable(table).compile(dialect=dialect)).strip()
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            yield str(CreateIndex(index).compile(dialect=dialect)).strip()
    yield from TABLES


def literal(statement: str) -> str:
    """The statement as an element of the tuple, in lines that are not too long."""
    lines = [line.replace("\t", "    ").rstrip() for line in statement.splitlines()]
    if len(lines) == 1 and len(lines[0]) <= LONGEST and '"' not in statement:
        return f'    "{lines[0]}",\n'
    if len(lines) == 1:
        lines = re.findall(r"\S.{0,98}\S(?=\s|$)", lines[0])
        return '    """' + "\n    ".join(lines) + '""",\n'
    return '    """' + "\n".join(lines) + '""",\n'


def formatted(source: str) -> str:
    """The source as the formatter leaves it."""
    command = [str(Path(sys.executable).with_name("ruff")), "format", "--stdin-filename", BASELINE.name, "-"]
    return subprocess.run(command, input=source, text=True, check=True, capture_output=True, cwd=ROOT).stdout


def main() -> int:
    """Write the file, or compare it."""
    source = formatted(HEAD + "".join(map(literal, statements())) + TAIL)
    if "--check" in sys.argv[1:]:
        return int(BASELINE.read_text() != source)
    BASELINE.write_text(source)
    return 0


if __name__ == "__main__":
    sys.exit(main())
