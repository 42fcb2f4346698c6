"""The texts of contents, and what waits for them. What is stored already is read behind the server, in its own time."""

from alembic import op

revision = "0005"
down_revision = "0004"

STATEMENTS = (
    """CREATE TABLE attachment_text (
    digest TEXT NOT NULL,
    format TEXT NOT NULL,
    recipe INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    words BLOB,
    PRIMARY KEY (digest, format)
)""",
    """CREATE TABLE pending_text (
    binary_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    after INTEGER,
    PRIMARY KEY (binary_id)
)
 WITHOUT ROWID""",
    "CREATE INDEX pending_text_order ON pending_text (attempts, number)",
    "INSERT INTO idx_state (name, value) SELECT 'texts', '1 ' WHERE EXISTS (SELECT 1 FROM binary_content)",
)
"""In SQLite's words; frozen: later changes are steps of their own."""


def upgrade() -> None:
    """Make the tables; the row says that the walk over older contents has to begin."""
    for statement in STATEMENTS:
        op.execute(statement)
