"""The first schema: records, contents, index, and the chained log of changes."""

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = (
    """CREATE TABLE binary_content (
    binary_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (binary_id, version)
)
 WITHOUT ROWID""",
    "CREATE INDEX binary_content_digest ON binary_content (digest)",
    """CREATE TABLE binary_referrer (
    binary_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (binary_id, sequence)
)
 WITHOUT ROWID""",
    """CREATE TABLE blob (
    digest TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha1 BLOB NOT NULL,
    crcs BLOB NOT NULL,
    stored_at INTEGER NOT NULL,
    PRIMARY KEY (digest)
)""",
    """CREATE TABLE idx_date (
    param INTEGER NOT NULL,
    lo INTEGER NOT NULL,
    hi INTEGER NOT NULL,
    rid INTEGER NOT NULL,
    grp INTEGER NOT NULL,
    PRIMARY KEY (param, lo, hi, rid, grp)
)
 WITHOUT ROWID""",
    "CREATE INDEX idx_date_rid ON idx_date (rid, param)",
    """CREATE TABLE idx_number (
    param INTEGER NOT NULL,
    lo FLOAT NOT NULL,
    hi FLOAT NOT NULL,
    rid INTEGER NOT NULL,
    grp INTEGER NOT NULL,
    PRIMARY KEY (param, lo, hi, rid, grp)
)
 WITHOUT ROWID""",
    "CREATE INDEX idx_number_rid ON idx_number (rid, param)",
    """CREATE TABLE idx_patient (
    patient TEXT NOT NULL,
    recency INTEGER NOT NULL,
    type TEXT NOT NULL,
    id TEXT NOT NULL,
    rid INTEGER NOT NULL,
    how INTEGER NOT NULL,
    PRIMARY KEY (patient, recency, type, id)
)
 WITHOUT ROWID""",
    """CREATE TABLE idx_quantity (
    param INTEGER NOT NULL,
    lo FLOAT NOT NULL,
    hi FLOAT NOT NULL,
    rid INTEGER NOT NULL,
    system INTEGER NOT NULL,
    code TEXT NOT NULL,
    unit TEXT NOT NULL,
    grp INTEGER NOT NULL,
    PRIMARY KEY (param, lo, hi, rid, system, code, unit, grp)
)
 WITHOUT ROWID""",
    "CREATE INDEX idx_quantity_rid ON idx_quantity (rid, param)",
    """CREATE TABLE idx_rank (
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (kind, text)
)
 WITHOUT ROWID""",
    """CREATE TABLE idx_reference (
    param INTEGER NOT NULL,
    target TEXT NOT NULL,
    rid INTEGER NOT NULL,
    version INTEGER NOT NULL,
    grp INTEGER NOT NULL,
    PRIMARY KEY (param, target, rid, version, grp)
)
 WITHOUT ROWID""",
    "CREATE INDEX idx_reference_rid ON idx_reference (rid, param)",
    """CREATE TABLE idx_state (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (name)
)""",
    """CREATE TABLE idx_string (
    param INTEGER NOT NULL,
    plain TEXT NOT NULL,
    rid INTEGER NOT NULL,
    exact TEXT NOT NULL,
    grp INTEGER NOT NULL,
    PRIMARY KEY (param, plain, rid, exact, grp)
)
 WITHOUT ROWID""",
    "CREATE INDEX idx_string_rid ON idx_string (rid, param)",
    """CREATE TABLE idx_term (
    id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    many INTEGER NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT idx_term_text UNIQUE (text, kind)
)""",
    """CREATE TABLE idx_token (
    param INTEGER NOT NULL,
    code TEXT NOT NULL,
    rid INTEGER NOT NULL,
    system INTEGER NOT NULL,
    grp INTEGER NOT NULL,
    PRIMARY KEY (param, code, rid, system, grp)
)
 WITHOUT ROWID""",
    "CREATE INDEX idx_token_rid ON idx_token (rid, param)",
    """CREATE TABLE idx_uri (
    param INTEGER NOT NULL,
    value TEXT NOT NULL,
    rid INTEGER NOT NULL,
    grp INTEGER NOT NULL,
    PRIMARY KEY (param, value, rid, grp)
)
 WITHOUT ROWID""",
    "CREATE INDEX idx_uri_rid ON idx_uri (rid, param)",
    """CREATE TABLE installation (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (name)
)""",
    """CREATE TABLE record_version (
    sequence INTEGER NOT NULL,
    type TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    method TEXT NOT NULL,
    facts BLOB NOT NULL,
    body BLOB,
    PRIMARY KEY (sequence)
)""",
    "CREATE UNIQUE INDEX record_version_key ON record_version (type, id, version)",
    """CREATE TABLE res_row (
    rid INTEGER NOT NULL,
    type TEXT NOT NULL,
    id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    recency INTEGER NOT NULL,
    when_hi INTEGER,
    wide INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    holds INTEGER NOT NULL,
    sole_patient TEXT,
    unit TEXT,
    enterprise TEXT,
    encounter TEXT,
    status TEXT,
    source TEXT NOT NULL,
    confidentiality TEXT NOT NULL,
    labels TEXT,
    authors TEXT,
    tokens TEXT,
    patients TEXT,
    PRIMARY KEY (rid)
)""",
    "CREATE UNIQUE INDEX res_row_key ON res_row (type, id)",
    "CREATE INDEX res_row_recency ON res_row (recency)",
    "CREATE INDEX res_row_updated ON res_row (updated)",
    "CREATE INDEX res_row_wide ON res_row (recency) WHERE wide = 1",
    """CREATE TABLE unclaimed_binary (
    binary_id TEXT NOT NULL,
    uploaded_at INTEGER NOT NULL,
    PRIMARY KEY (binary_id)
)""",
    """CREATE TABLE audit_row (log_id TEXT NOT NULL, sequence INTEGER PRIMARY KEY, previous BLOB NOT NULL,
    hash BLOB NOT NULL, disclosure BLOB NOT NULL) STRICT""",
    "CREATE TABLE raw_query (log_id TEXT NOT NULL, sequence INTEGER PRIMARY KEY, salted BLOB NOT NULL) STRICT",
    """CREATE TRIGGER audit_row_keeps_update BEFORE UPDATE ON audit_row BEGIN SELECT RAISE(ABORT,
    'audit_row is append-only'); END""",
    """CREATE TRIGGER audit_row_keeps_delete BEFORE DELETE ON audit_row BEGIN SELECT RAISE(ABORT,
    'audit_row is append-only'); END""",
    """CREATE TRIGGER raw_query_keeps_update BEFORE UPDATE ON raw_query BEGIN SELECT RAISE(ABORT,
    'raw_query is append-only'); END""",
)
"""In SQLite's words; frozen: later changes are steps of their own."""


def upgrade() -> None:
    """Make every table of an empty database."""
    for statement in STATEMENTS:
        op.execute(statement)
