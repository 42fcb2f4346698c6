"""Searches for words: the full-text index; a folder that holds resources has to be indexed anew."""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = (
    "CREATE VIRTUAL TABLE idx_words USING fts5(body, tokenize='ascii', prefix='3 4')",
    "INSERT OR REPLACE INTO idx_state (name, value) SELECT 'rebuilding', '1' WHERE EXISTS (SELECT 1 FROM res_row)",
)
"""In SQLite's words; frozen: later changes are steps of their own."""


def upgrade() -> None:
    """Make the table; what it holds is made by a reindex, which `rebuilding` asks for."""
    for statement in STATEMENTS:
        op.execute(statement)
