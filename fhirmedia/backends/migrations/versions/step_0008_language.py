"""Names are sorted by the alphabet of a language: where any are indexed, the folder has to be indexed anew."""

from alembic import op

revision = "0008"
down_revision = "0007"

STATEMENTS = (
    "INSERT INTO installation (name, value) VALUES ('language', 'sv')",
    "INSERT OR REPLACE INTO idx_state (name, value) SELECT 'rebuilding', '1' WHERE EXISTS (SELECT 1 FROM idx_string)",
)
"""In SQLite's words; frozen: later changes are steps of their own."""


def upgrade() -> None:
    """Note the default; a reindex, which `rebuilding` asks for, takes over the one that is set."""
    for statement in STATEMENTS:
        op.execute(statement)
