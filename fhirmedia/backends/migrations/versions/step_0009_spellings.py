"""Names are kept in each of their spellings: where any are indexed, the folder has to be indexed anew."""

from alembic import op

revision = "0009"
down_revision = "0008"

STATEMENTS = (
    "INSERT OR REPLACE INTO idx_state (name, value) SELECT 'rebuilding', '1' WHERE EXISTS (SELECT 1 FROM idx_string)",
)
"""In SQLite's words; frozen: later changes are steps of their own."""


def upgrade() -> None:
    """Spellings are made by a reindex, which `rebuilding` asks for."""
    for statement in STATEMENTS:
        op.execute(statement)
