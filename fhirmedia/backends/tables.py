"""The tables of records.db: versions, contents, the log of changes. The single source of schema and statements.

The tables of the search index stand in `index_tables`; both share one metadata, from which migrations are made.
"""

from sqlalchemy import Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text
from sqlmodel import Field, SQLModel


class RecordVersion(SQLModel, table=True):
    """One row per version, never updated; `sequence` orders all changes of the archive."""

    __tablename__ = "record_version"
    __table_args__ = (
        Index("record_version_key", "type", "id", "version", unique=True),
        Index("record_version_type", "type", "sequence"),
    )

    sequence: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    type: str = Field(sa_column=Column(Text, nullable=False))
    id: str = Field(sa_column=Column(Text, nullable=False))
    version: int
    changed_at: int
    method: str = Field(sa_column=Column(Text, nullable=False))
    facts: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    body: bytes | None = Field(default=None, sa_column=Column(LargeBinary))


class Blob(SQLModel, table=True):
    """Bytes the object store holds; `crcs` are CRC-32 values of each MiB, four bytes big-endian each."""

    __tablename__ = "blob"

    digest: str = Field(sa_column=Column(Text, primary_key=True))
    size: int
    sha1: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    crcs: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    stored_at: int


class BinaryContent(SQLModel, table=True):
    """What each version of a Binary stands for."""

    __tablename__ = "binary_content"
    __table_args__ = (
        PrimaryKeyConstraint("binary_id", "version"),
        Index("binary_content_digest", "digest"),
        {"sqlite_with_rowid": False},
    )

    binary_id: str = Field(sa_column=Column(Text, nullable=False))
    version: int
    content_type: str = Field(sa_column=Column(Text, nullable=False))
    digest: str = Field(sa_column=Column(Text, nullable=False))


class BinaryReferrer(SQLModel, table=True):
    """Which versions name which Binary."""

    __tablename__ = "binary_referrer"
    __table_args__ = (PrimaryKeyConstraint("binary_id", "sequence"), {"sqlite_with_rowid": False})

    binary_id: str = Field(sa_column=Column(Text, nullable=False))
    sequence: int


class UnclaimedBinary(SQLModel, table=True):
    """Binaries that no record ever referred to; the sweeper looks here and nowhere else.

    `uploaded_at` is the time of the newest upload. A row outlives the deletion of its Binary, until the sweeper
    releases what that stood for.
    """

    __tablename__ = "unclaimed_binary"

    binary_id: str = Field(sa_column=Column(Text, primary_key=True))
    uploaded_at: int


class VersionReach(SQLModel, table=True):
    """Versions by the facts that callers are bound to, so that a history visits what a caller may see and little else.

    `reach` is a fact and its value, as `reaches` of `backends.reach` writes them.
    """

    __tablename__ = "version_reach"
    __table_args__ = (PrimaryKeyConstraint("reach", "type", "sequence"), {"sqlite_with_rowid": False})

    reach: str = Field(sa_column=Column(Text, nullable=False))
    type: str = Field(sa_column=Column(Text, nullable=False))
    sequence: int


class PendingFacts(SQLModel, table=True):
    """Records whose facts wait for a change elsewhere: the newest versions of a `reach`, after (type, sequence)."""

    __tablename__ = "pending_facts"

    reach: str = Field(sa_column=Column(Text, primary_key=True))
    after_type: str = Field(sa_column=Column(Text, nullable=False))
    after_sequence: int


class AttachmentText(SQLModel, table=True):
    """What became of the text of bytes, read in a format by a recipe of `media.text_formats`; `words` are packed."""

    __tablename__ = "attachment_text"
    __table_args__ = (PrimaryKeyConstraint("digest", "format"),)

    digest: str = Field(sa_column=Column(Text, nullable=False))
    format: str = Field(sa_column=Column(Text, nullable=False))
    recipe: int
    outcome: str = Field(sa_column=Column(Text, nullable=False))
    words: bytes | None = Field(default=None, sa_column=Column(LargeBinary))


class PendingText(SQLModel, table=True):
    """Binaries whose words are not in the index yet.

    `number` is the sequence of the version that brought the content; `after` is NULL until the text is read, then the
    sequence up to which the records that refer to it have its words.
    """

    __tablename__ = "pending_text"
    __table_args__ = (Index("pending_text_order", "attempts", "number"), {"sqlite_with_rowid": False})

    binary_id: str = Field(sa_column=Column(Text, primary_key=True))
    number: int
    attempts: int
    after: int | None = None


class Installation(SQLModel, table=True):
    """What was decided when the folder was made, such as the time zone."""

    __tablename__ = "installation"

    name: str = Field(sa_column=Column(Text, primary_key=True))
    value: str = Field(sa_column=Column(Text, nullable=False))


def table_of(model: type[SQLModel]) -> Table:
    """The table behind a model, for statements."""
    table = SQLModel.metadata.tables[str(model.__tablename__)]
    assert isinstance(table, Table)
    return table
