"""Statements are built from the tables once and run as text on the driver's own connection."""

import re

from sqlalchemy.dialects import sqlite
from sqlalchemy.sql import ClauseElement


def sqlite_text(statement: ClauseElement) -> str:
    """The statement as SQLite text with named parameters (`:name`); whole numbers it was built with are written out."""
    compiled = statement.compile(dialect=sqlite.dialect(paramstyle="named"))
    known = {name: value for name, value in compiled.params.items() if isinstance(value, int)}
    return re.sub(r":(\w+)", lambda found: str(known.get(found[1], found[0])), str(compiled))
