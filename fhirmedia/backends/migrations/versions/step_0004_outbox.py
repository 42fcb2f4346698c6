"""An index beside the database: the changes it has not taken in, and its fillings."""

from alembic import op

revision = "0004"
down_revision = "0003"

STATEMENTS = (
    """CREATE TABLE index_outbox (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    type TEXT NOT NULL,
    id TEXT NOT NULL,
    moved INTEGER NOT NULL,
    since INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    worker TEXT,
    until INTEGER NOT NULL,
    is_dead INTEGER NOT NULL,
    reason TEXT
)""",
    "CREATE UNIQUE INDEX index_outbox_key ON index_outbox (type, id)",
    "CREATE INDEX index_outbox_since ON index_outbox (is_dead, since)",
    "CREATE INDEX index_outbox_moved ON index_outbox (moved) WHERE moved = 1",
    """CREATE TABLE index_outbox_patient (
    type TEXT NOT NULL,
    id TEXT NOT NULL,
    patient TEXT NOT NULL,
    PRIMARY KEY (type, id, patient)
)
 WITHOUT ROWID""",
    "CREATE INDEX index_outbox_patient_patient ON index_outbox_patient (patient)",
    """CREATE TABLE index_generation (
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    position INTEGER NOT NULL,
    documents INTEGER NOT NULL,
    state_since INTEGER NOT NULL,
    PRIMARY KEY (name)
)""",
)
"""In SQLite's words; frozen: later changes are steps of their own."""


def upgrade() -> None:
    """Make the tables; nothing is in them until an index beside the database is set."""
    for statement in STATEMENTS:
        op.execute(statement)
