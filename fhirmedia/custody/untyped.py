"""References asked for by a bare id: where several resources have it, the type has to be said (FHIR R4, search).

Only what the Caller may see counts, so that nothing is told of what is hidden.
"""

from typing import TYPE_CHECKING

from fhirmedia.access.grant import Grant
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key, Record
from fhirmedia.ports.index import Page
from fhirmedia.r4.query import Match, Query, ReferenceTest, TokenTest, leaves

if TYPE_CHECKING:
    from fhirmedia.custody.custodian import Stores

Meant = dict[tuple[str, str], list[Key]]
"""What may be meant, by parameter and id."""


async def several_meant(stores: "Stores", grant: Grant, query: Query) -> tuple[str, list[Record]] | None:
    """The first parameter whose bare id several resources that the Caller may list have, with these; None if none has.

    Nothing is looked for unless an id may be of several types, and then everything at once. What stands inside a Chain
    or Has is not looked at.
    """
    meant = _meant(query)
    types = grant.listable({key.type for keys in meant.values() for key in keys} - stores.views.keys())
    if not types:
        return None
    ids = Match("_id", tuple(TokenTest(id) for id in dict.fromkeys(id for _, id in meant)))
    hits = await stores.index.search(grant.narrow(ids, types=types), page=Page(sum(map(len, meant.values()))))
    there = frozenset(hits.keys)
    for (parameter, _), keys in meant.items():
        found = [key for key in keys if key in there]
        if len(found) < 2:
            continue
        records = [record for record in await stores.records.read(found) if record is not None and not record.deleted]
        seen = [record for record in records if grant.admits("read", record.key, record.facts)]
        if len(seen) > 1:
            return parameter, seen
    return None


def refusal(parameter: str, records: list[Record]) -> Failure:
    """The Failure that asks for the type."""
    types = ", ".join(sorted(record.key.type for record in records))
    text = (
        f"parameter '{parameter}': {types} each have a resource of that id; say which, as in {records[0].key.type}/id"
    )
    return Failure(Category.INVALID, text, code="multiple-matches", expression=f"http.{parameter}")


def _meant(query: Query) -> Meant:
    found: Meant = {}
    for match in (leaf for leaf in leaves(query) if isinstance(leaf, Match)):
        for test in match.tests:
            if isinstance(test, ReferenceTest) and test.untyped and test.key is not None:
                found.setdefault((match.parameter, test.key.id), []).append(test.key)
    return found
