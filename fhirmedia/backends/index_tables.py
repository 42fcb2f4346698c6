"""The tables of the search index: what is searched about each current resource, in the records' own database.

`res_row` holds one flat row per live resource. Each value of a parameter is one narrow row of the table of its kind,
reached from the value (primary key) or from the resource (`rid`). `idx_term` gives numbers to the texts that repeat:
parameter codes, one for each kind of value they yield, and token systems.
"""

from sqlalchemy import BigInteger, Column, Float, Index, Integer, PrimaryKeyConstraint, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

MISSING = 2**63 - 1
"""`recency` of a resource without `when`: after every other, so that missing sorts last."""

PATIENT = "Patient"  # type-name: whose compartment `idx_patient` keeps in order
"""The type that rows of PatientRow point to."""

IN_COMPARTMENT, IN_FACTS, SOLE = 1, 2, 4
"""Bits of `PatientRow.how`: in the compartment, among the patients of the facts, the only one of them."""

NARROW_MS = 25 * 3_600_000
"""Ranges of time up to here (a day, even the longest) are of kind `date`, wider ones of kind `period`."""

_Whole = BigInteger().with_variant(Integer(), "sqlite")
_Code = Text().with_variant(Text(collation="C"), "postgresql")


def _whole() -> Column[int]:
    return Column(_Whole, nullable=False)


def _text() -> Column[str]:
    return Column(_Code, nullable=False)


def _optional() -> Column[str]:
    return Column(_Code)


class Term(SQLModel, table=True):
    """A number for a text; `many` is 1 once a resource had several values of this parameter."""

    __tablename__ = "idx_term"
    __table_args__ = (UniqueConstraint("text", "kind", name="idx_term_text"),)

    id: int = Field(sa_column=Column(_Whole, primary_key=True))
    kind: str = Field(sa_column=_text())
    text: str = Field(sa_column=_text())
    many: int = Field(default=0, sa_column=_whole())


class Rank(SQLModel, table=True):
    """A small number, counted from 1 for each kind: of resource types, and of parameters that refer to Patients."""

    __tablename__ = "idx_rank"
    __table_args__ = (PrimaryKeyConstraint("kind", "text"), {"sqlite_with_rowid": False})

    kind: str = Field(sa_column=_text())
    text: str = Field(sa_column=_text())
    number: int = Field(sa_column=_whole())


class ResRow(SQLModel, table=True):
    """A current resource.

    `rid` is 256 times the sequence of the version that first entered the index, plus the rank of the type, and stays
    until the resource is deleted; `sequence` is that of the present version. `recency` is the negated beginning of
    `when` in milliseconds, or MISSING; `wide` is 1 where `when` is longer than NARROW_MS; `updated` is milliseconds.
    `labels`, `authors` (arrays) and `tokens` (object of arrays) are JSON, NULL when empty. `patients` are the ids that
    have a PatientRow, NULL when that is `sole_patient` alone. `holds` has a bit for each value table with rows of this
    resource.
    """

    __tablename__ = "res_row"
    __table_args__ = (
        Index("res_row_key", "type", "id", unique=True),
        Index("res_row_recency", "recency"),
        Index("res_row_wide", "recency", sqlite_where=text("wide = 1"), postgresql_where=text("wide = 1")),
        Index("res_row_updated", "updated"),
    )

    rid: int = Field(sa_column=Column(_Whole, primary_key=True, autoincrement=False))
    type: str = Field(sa_column=_text())
    id: str = Field(sa_column=_text())
    sequence: int = Field(sa_column=_whole())
    recency: int = Field(sa_column=_whole())
    when_hi: int | None = Field(default=None, sa_column=Column(_Whole))
    wide: int = Field(default=0, sa_column=_whole())
    updated: int = Field(sa_column=_whole())
    holds: int = Field(sa_column=_whole())
    sole_patient: str | None = Field(default=None, sa_column=_optional())
    unit: str | None = Field(default=None, sa_column=_optional())
    enterprise: str | None = Field(default=None, sa_column=_optional())
    encounter: str | None = Field(default=None, sa_column=_optional())
    status: str | None = Field(default=None, sa_column=_optional())
    source: str = Field(sa_column=_text())
    confidentiality: str = Field(sa_column=_text())
    labels: str | None = Field(default=None, sa_column=_optional())
    authors: str | None = Field(default=None, sa_column=_optional())
    tokens: str | None = Field(default=None, sa_column=_optional())
    patients: str | None = Field(default=None, sa_column=_optional())


class PatientRow(SQLModel, table=True):
    """One Patient a resource has to do with, in the order of a timeline, newest first.

    There is a row for each Patient of the compartment (the Patient itself included), of the facts, and for each other
    Patient the resource refers to. The bits of `how` say why: IN_COMPARTMENT, IN_FACTS, SOLE, and one for each
    parameter that refers to the Patient, by its rank.
    """

    __tablename__ = "idx_patient"
    __table_args__ = (PrimaryKeyConstraint("patient", "recency", "type", "id"), {"sqlite_with_rowid": False})

    patient: str = Field(sa_column=_text())
    recency: int = Field(sa_column=_whole())
    type: str = Field(sa_column=_text())
    id: str = Field(sa_column=_text())
    rid: int = Field(sa_column=_whole())
    how: int = Field(sa_column=_whole())


class TokenRow(SQLModel, table=True):
    """A coded value; `code` is empty and `system` 0 where there is none."""

    __tablename__ = "idx_token"
    __table_args__ = (
        PrimaryKeyConstraint("param", "code", "rid", "system", "grp"),
        Index("idx_token_rid", "rid", "param"),
        {"sqlite_with_rowid": False},
    )

    param: int = Field(sa_column=_whole())
    code: str = Field(sa_column=_text())
    rid: int = Field(sa_column=_whole())
    system: int = Field(sa_column=_whole())
    grp: int = Field(sa_column=_whole())


class DateRow(SQLModel, table=True):
    """A stretch of time `[lo, hi)` in milliseconds."""

    __tablename__ = "idx_date"
    __table_args__ = (
        PrimaryKeyConstraint("param", "lo", "hi", "rid", "grp"),
        Index("idx_date_rid", "rid", "param"),
        {"sqlite_with_rowid": False},
    )

    param: int = Field(sa_column=_whole())
    lo: int = Field(sa_column=_whole())
    hi: int = Field(sa_column=_whole())
    rid: int = Field(sa_column=_whole())
    grp: int = Field(sa_column=_whole())


class ReferenceRow(SQLModel, table=True):
    """A reference: `target` is `Type/id` with `version` (0: none), or a URL (-1), or empty (-2: identifier only)."""

    __tablename__ = "idx_reference"
    __table_args__ = (
        PrimaryKeyConstraint("param", "target", "rid", "version", "grp"),
        Index("idx_reference_rid", "rid", "param"),
        {"sqlite_with_rowid": False},
    )

    param: int = Field(sa_column=_whole())
    target: str = Field(sa_column=_text())
    rid: int = Field(sa_column=_whole())
    version: int = Field(sa_column=_whole())
    grp: int = Field(sa_column=_whole())


class StringRow(SQLModel, table=True):
    """Text, folded and as written."""

    __tablename__ = "idx_string"
    __table_args__ = (
        PrimaryKeyConstraint("param", "plain", "rid", "exact", "grp"),
        Index("idx_string_rid", "rid", "param"),
        {"sqlite_with_rowid": False},
    )

    param: int = Field(sa_column=_whole())
    plain: str = Field(sa_column=_text())
    rid: int = Field(sa_column=_whole())
    exact: str = Field(sa_column=_text())
    grp: int = Field(sa_column=_whole())


class UriRow(SQLModel, table=True):
    """A URI."""

    __tablename__ = "idx_uri"
    __table_args__ = (
        PrimaryKeyConstraint("param", "value", "rid", "grp"),
        Index("idx_uri_rid", "rid", "param"),
        {"sqlite_with_rowid": False},
    )

    param: int = Field(sa_column=_whole())
    value: str = Field(sa_column=_text())
    rid: int = Field(sa_column=_whole())
    grp: int = Field(sa_column=_whole())


class NumberRow(SQLModel, table=True):
    """A number or a range of numbers, both ends included."""

    __tablename__ = "idx_number"
    __table_args__ = (
        PrimaryKeyConstraint("param", "lo", "hi", "rid", "grp"),
        Index("idx_number_rid", "rid", "param"),
        {"sqlite_with_rowid": False},
    )

    param: int = Field(sa_column=_whole())
    lo: float = Field(sa_column=Column(Float(53), nullable=False))
    hi: float = Field(sa_column=Column(Float(53), nullable=False))
    rid: int = Field(sa_column=_whole())
    grp: int = Field(sa_column=_whole())


class QuantityRow(SQLModel, table=True):
    """A quantity reading; `code` and `unit` are empty and `system` 0 where there is none."""

    __tablename__ = "idx_quantity"
    __table_args__ = (
        PrimaryKeyConstraint("param", "lo", "hi", "rid", "system", "code", "unit", "grp"),
        Index("idx_quantity_rid", "rid", "param"),
        {"sqlite_with_rowid": False},
    )

    param: int = Field(sa_column=_whole())
    lo: float = Field(sa_column=Column(Float(53), nullable=False))
    hi: float = Field(sa_column=Column(Float(53), nullable=False))
    rid: int = Field(sa_column=_whole())
    system: int = Field(sa_column=_whole())
    code: str = Field(sa_column=_text())
    unit: str = Field(sa_column=_text())
    grp: int = Field(sa_column=_whole())


class Spelling(SQLModel, table=True):
    """How a code of a token system (0: none) was written when it was first met, where that is not its normal form."""

    __tablename__ = "idx_spelling"
    __table_args__ = (PrimaryKeyConstraint("system", "code"), {"sqlite_with_rowid": False})

    system: int = Field(sa_column=_whole())
    code: str = Field(sa_column=_text())
    spelled: str = Field(sa_column=_text())


class IndexState(SQLModel, table=True):
    """What must be known about the index as a whole; `rebuilding` stands here while a rebuild is unfinished."""

    __tablename__ = "idx_state"

    name: str = Field(sa_column=Column(_Code, primary_key=True))
    value: str = Field(sa_column=_text())
