"""Histories of types and of everything: versions found by type and by facts, and how each came to be.

Also the queue of facts that wait for a change elsewhere.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

_FACTS = "CASE WHEN json_valid(CAST(v.facts AS TEXT)) THEN CAST(v.facts AS TEXT) ELSE '{}' END"
_FILL = (
    "INSERT OR IGNORE INTO version_reach (reach, type, sequence)"
    " SELECT '{fact}/' || json_extract({facts}, '$.{path}'), v.type, v.sequence"
    " FROM record_version v WHERE json_extract({facts}, '$.{path}') IS NOT NULL"
)

STATEMENTS = (
    "CREATE INDEX record_version_type ON record_version (type, sequence)",
    """CREATE TABLE version_reach (
    reach TEXT NOT NULL,
    type TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (reach, type, sequence)
)
 WITHOUT ROWID""",
    """CREATE TABLE pending_facts (
    reach TEXT NOT NULL,
    after_type TEXT NOT NULL,
    after_sequence INTEGER NOT NULL,
    PRIMARY KEY (reach)
)""",
    _FILL.format(fact="unit", facts=_FACTS, path="unit"),
    _FILL.format(fact="sole_patient", facts=_FACTS, path="patients[0]")
    + f" AND json_array_length({_FACTS}, '$.patients') = 1",
    _FILL.format(fact="encounter", facts=_FACTS, path="encounter"),
    # What the server named has the form of its own ids; whatever else was created, a client named.
    """UPDATE record_version SET method = 'update-as-create' WHERE method = 'create'
    AND (version > 1 OR id NOT GLOB '????????-????-7???-????-????????????')""",
)
"""In SQLite's words; frozen: later changes are steps of their own."""


def upgrade() -> None:
    """Make the tables and fill them from what is there."""
    for statement in STATEMENTS:
        op.execute(statement)
