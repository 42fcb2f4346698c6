"""The tables of what follows the records: changes an index beside the database has not taken in, and its fillings."""

from sqlalchemy import Column, Index, Integer, PrimaryKeyConstraint, Text, text
from sqlmodel import Field, SQLModel


class IndexOutbox(SQLModel, table=True):
    """A Key with changes that the index lacks. A new change takes the place of the row, under a new number.

    `number` rises and is never given twice: it orders documents of a Key. `moved`: it is gone, or its facts are not
    those the index may still hold. `since` is when the first change came that it lacks; `due_at` when a refused one is
    tried again; `until` when the claim of `worker` ends. All times are milliseconds UTC.
    """

    __tablename__ = "index_outbox"
    __table_args__ = (
        Index("index_outbox_key", "type", "id", unique=True),
        Index("index_outbox_since", "is_dead", "since"),
        Index("index_outbox_moved", "moved", sqlite_where=text("moved = 1")),
        {"sqlite_autoincrement": True},
    )

    number: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=True))
    type: str = Field(sa_column=Column(Text, nullable=False))
    id: str = Field(sa_column=Column(Text, nullable=False))
    moved: int
    since: int
    attempts: int
    due_at: int
    worker: str | None = Field(default=None, sa_column=Column(Text))
    until: int
    is_dead: int
    reason: str | None = Field(default=None, sa_column=Column(Text))


class IndexOutboxPatient(SQLModel, table=True):
    """The Patients such a Key is about, or was before its changes."""

    __tablename__ = "index_outbox_patient"
    __table_args__ = (
        PrimaryKeyConstraint("type", "id", "patient"),
        Index("index_outbox_patient_patient", "patient"),
        {"sqlite_with_rowid": False},
    )

    type: str = Field(sa_column=Column(Text, nullable=False))
    id: str = Field(sa_column=Column(Text, nullable=False))
    patient: str = Field(sa_column=Column(Text, nullable=False))


class IndexGeneration(SQLModel, table=True):
    """One filling of the index beside the database.

    `state`: `live` answers, `filling` and `filled` do not yet, `kept` answered before, `lost` is to be dropped. Changes
    go to all but the lost. `position` is the sequence up to which a filling has come, `documents` how many that were.
    """

    __tablename__ = "index_generation"

    name: str = Field(sa_column=Column(Text, primary_key=True))
    state: str = Field(sa_column=Column(Text, nullable=False))
    fingerprint: str = Field(sa_column=Column(Text, nullable=False))
    position: int
    documents: int
    state_since: int
