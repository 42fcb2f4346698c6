"""Whom a count is about, so that the audit can name them: an answer in numbers tells of people, too.

Named are the Patients that were asked for, whatever was found, and those behind a number that is about few.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fhirmedia.access.grant import Grant, NarrowedQuery
from fhirmedia.core.disclosure import Touch
from fhirmedia.core.records import Key
from fhirmedia.custody.statistics import FLOOR
from fhirmedia.ports.index import Page, SearchIndex
from fhirmedia.ports.records import RecordStore
from fhirmedia.r4.query import All, InCompartment, Match, Query, ReferenceTest

if TYPE_CHECKING:
    from fhirmedia.custody.custodian import Stores

FIRST_LOOKED_AT, LOOKED_AT = 10, 50
"""Records of the first step on the way to the Patients behind a number, which mostly is enough, and of the others."""

LOOKED_AT_MOST = 1000
"""Records behind a number that are looked at. Where these are about few Patients, so is most of what was counted."""

PATIENT = "Patient"  # type-name: whom audit names


def asked_patients(query: Query) -> tuple[str, ...]:
    """Ids of the Patients a query is bound to: of a compartment, or of references of which one has to be there."""
    match query:
        case All(parts):
            return tuple(dict.fromkeys(patient for part in parts for patient in asked_patients(part)))
        case InCompartment(patient):
            return (patient,)
        case Match(_, tests):
            keys = [test.key for test in tests if isinstance(test, ReferenceTest) and test.key is not None]
            return tuple(key.id for key in keys if key.type == PATIENT)
        case _:
            return ()


def listed(patient: str) -> Touch:
    """What audit keeps of it."""
    return Touch(Key(PATIENT, patient), None, "listed", (patient,))


async def told_of(stores: "Stores", grant: Grant, counted: Sequence[Query], *, types: Sequence[str]) -> list[Touch]:
    """Whom numbers are about: who was asked about by name, or else those of whom each query counts, where they are few.

    Who may not list the records is told no number of few, and of projected types there are none in the index. Raises
    Failure FORBIDDEN, TOO_COSTLY.
    """
    asked = asked_patients(counted[0])
    if asked or grant.listable(types) != frozenset(types):
        return [*map(listed, asked)]
    found: dict[str, None] = {}
    for query in dict.fromkeys(counted):
        narrowed = grant.narrow(query, types=types)
        found |= dict.fromkeys(await few_patients(stores.index, stores.records, narrowed))
    return [*map(listed, found)]


async def few_patients(index: SearchIndex, records: RecordStore, narrowed: NarrowedQuery) -> tuple[str, ...]:
    """Ids of the Patients of the first LOOKED_AT_MOST records a query selects; none, where they are FLOOR or more."""
    found: dict[str, None] = {}
    after, seen = None, 0
    while True:
        hits = await index.search(narrowed, page=Page(LOOKED_AT if seen else FIRST_LOOKED_AT, after=after))
        for record in await records.read(hits.keys):
            if record is not None:
                found |= dict.fromkeys(record.facts.patients)
        seen += len(hits.keys)
        after = hits.next
        if len(found) >= FLOOR:
            return ()
        if after is None or seen >= LOOKED_AT_MOST:
            return tuple(found)
