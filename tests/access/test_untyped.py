"""Which resources an id alone may mean: those the records show to the Caller, whatever the index says."""

from collections.abc import Sequence
from typing import Any

import pytest

from fhirmedia.access.caller import Caller
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key
from fhirmedia.custody.untyped import several_meant
from fhirmedia.interactions.media_stats import media_stats
from fhirmedia.interactions.search import Where
from fhirmedia.ports.index import Hits, Page
from fhirmedia.r4.query import Match, Query, ReferenceTest
from tests.access.houses import House, importer, refused, someone
from tests.access.records import a
from tests.audit.rows import disclosures

GROUP = {"resourceType": "Group", "id": "anna", "type": "person", "actual": True}
BOTH = [Key("Group", "anna"), Key("Patient", "anna")]
BARE = Match("subject", tuple(ReferenceTest(Key(kind, "anna"), untyped=True) for kind in ("Group", "Patient")))


@pytest.fixture
def twice(living: House) -> House:
    """Anna's id is that of a Group, too."""
    living.put(importer(), GROUP)
    living.put(importer(), a("Media", "m"))
    return living


def meant(living: House, caller: Caller, query: Query = BARE) -> list[str] | None:
    grant = living.archive.custodian.grant(caller)
    found = living.run(several_meant(living.stores, grant, query))
    return None if found is None else [found[0], *(str(record.key) for record in found[1])]


def lying(living: House, keys: Sequence[Key]) -> None:
    honest = living.stores.index

    class Lying:
        def __getattr__(self, name: str) -> Any:
            return getattr(honest, name)

        async def search(self, query: object, *, page: Page) -> Hits:
            return Hits(tuple(keys), None, None)

    living.replace_stores(index=Lying())


def test_several_are_meant(twice: House) -> None:
    assert meant(twice, someone()) == ["subject", "Group/anna", "Patient/anna"]
    assert meant(twice, someone("user/Media.rs user/Patient.rs")) is None
    assert meant(twice, someone("user/Media.rs")) is None


def test_one_whose_type_is_said_is_not_looked_for(twice: House) -> None:
    typed = Match("subject", tuple(ReferenceTest(key) for key in BOTH))
    assert meant(twice, someone(), typed) is None


@pytest.mark.parametrize("keys", [[], BOTH[:1], BOTH[1:]], ids=str)
def test_what_the_index_does_not_name_is_not_meant(twice: House, keys: list[Key]) -> None:
    lying(twice, keys)
    assert meant(twice, someone()) is None


def test_what_never_was_is_not_meant(living: House) -> None:
    lying(living, BOTH)
    assert meant(living, someone()) is None


def test_what_is_deleted_is_not_meant(twice: House) -> None:
    twice.delete(importer(), "Group/anna")
    lying(twice, BOTH)
    assert meant(twice, someone()) is None


def test_what_the_records_hide_is_not_meant(twice: House) -> None:
    lying(twice, BOTH)
    assert meant(twice, someone("patient/*.rs", patient="anna")) is None
    assert meant(twice, someone("user/*.rs", units=frozenset({"nowhere"}))) is None


def test_each_way_to_search_asks_and_what_it_tells_is_written_down(twice: House) -> None:
    for query in ("subject=anna", "subject=anna&_summary=count"):
        with pytest.raises(Failure) as caught:
            twice.search(someone(), "Media", query)
        assert (caught.value.category, caught.value.issues[0].code) == (Category.INVALID, "multiple-matches")
        told = list(disclosures(twice.path))[-1].touched
        assert {(str(touch.key), touch.depth) for touch in told} == {(str(key), "refused") for key in BOTH}
    asked = [("subject", "anna"), ("facet", "kind")]
    work = media_stats(twice.archive, twice.asker(someone()), Where("Media"), asked, lenient=False)
    with refused(Category.INVALID):
        twice.run(work)
