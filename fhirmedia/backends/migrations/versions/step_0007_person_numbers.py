"""More systems of person numbers have a normal form: where one of them is named, the folder has to be indexed anew."""

from alembic import op

revision = "0007"
down_revision = "0006"

SYSTEMS = (
    "http://electronichealth.se/identifier/nationelltReserv",
    "urn:oid:1.2.752.74.9.",
    "urn:oid:1.2.752.97.3.1.3",
    "urn:oid:1.2.752.113.11.0.2.1.1.1",
    "urn:oid:1.2.752.129.2.1.",
    "urn:oid:1.2.752.219.1.10.10.1",
    "urn:oid:1.2.752.266.1.1.",
    "urn:oid:1.2.752.269.1.1",
    "urn:oid:1.2.752.29.4.19",
    "urn:oid:2.16.578.1.12.4.1.4.3",
)
"""How they begin."""

_NAMED = " OR ".join(f"""instr(body, CAST('"{system}' AS BLOB)) > 0""" for system in SYSTEMS)
STATEMENTS = (
    f"""INSERT OR REPLACE INTO idx_state (name, value) SELECT 'rebuilding', '1'
    WHERE EXISTS (SELECT 1 FROM record_version WHERE {_NAMED})""",
)
"""In SQLite's words; frozen: later changes are steps of their own."""


def upgrade() -> None:
    """Look for resources that name one of the systems; a reindex, which `rebuilding` asks for, compares them anew."""
    for statement in STATEMENTS:
        op.execute(statement)
