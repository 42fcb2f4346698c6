"""Searches for words and counts by value: the full-text index, and codes as they were written.

A folder that holds resources has to be indexed anew.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = (
    "CREATE VIRTUAL TABLE idx_words USING fts5(body, tokenize='ascii', prefix='3 4')",
    """CREATE TABLE idx_spelling (
    system INTEGER NOT NULL,
    code TEXT NOT NULL,
    spelled TEXT NOT NULL,
    PRIMARY KEY (system, code)
)
 WITHOUT ROWID""",
    "INSERT OR REPLACE INTO idx_state (name, value) SELECT 'rebuilding', '1' WHERE EXISTS (SELECT 1 FROM res_row)",
)
"""In SQLite's words; frozen: later changes are steps of their own."""


def upgrade() -> None:
    """Make the tables; what they hold is made by a reindex, which `rebuilding` asks for."""
    for statement in STATEMENTS:
        op.execute(statement)
