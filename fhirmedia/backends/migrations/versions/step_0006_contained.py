"""Chains into contained resources: where there are any, the folder has to be indexed anew."""

from alembic import op

revision = "0006"
down_revision = "0005"

STATEMENTS = (
    """INSERT OR REPLACE INTO idx_state (name, value) SELECT 'rebuilding', '1' WHERE EXISTS
    (SELECT 1 FROM record_version WHERE instr(body, CAST('"contained":[' AS BLOB)) > 0)""",
)
"""In SQLite's words; frozen: later changes are steps of their own."""


def upgrade() -> None:
    """Look for a resource that contains another; what it says is indexed by a reindex, which `rebuilding` asks for."""
    for statement in STATEMENTS:
        op.execute(statement)
