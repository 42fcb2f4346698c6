"""How far behind an answer may be is passed on, with what is to be said of it; and so is the wish for none behind."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from fhirmedia.access.grant import NarrowedQuery
from fhirmedia.core.errors import Issue
from fhirmedia.core.records import Key
from fhirmedia.custody.paging import Walk
from fhirmedia.interactions.search import Where, search
from fhirmedia.ports.index import Freshness, Hits, Page, Pointer, SearchIndex
from tests.access.houses import House, importer, someone
from tests.access.records import a


class Late:
    """An index that says that it is behind, and remembers what it was asked for."""

    def __init__(self, honest: SearchIndex) -> None:
        self._honest = honest
        self.pages: list[Page] = []

    async def pointers(self, keys: Sequence[Key], *, parameters: Collection[str]) -> Sequence[Pointer]:
        return await self._honest.pointers(keys, parameters=parameters)

    async def search(self, query: NarrowedQuery, *, page: Page) -> Hits:
        self.pages.append(page)
        hits = await self._honest.search(query, page=page)
        return replace(hits, freshness=Freshness(1500, (Issue("incomplete", "It is behind.", severity="warning"),)))


def test_an_answer_says_how_far_behind_it_may_be(living: House) -> None:
    living.put(importer(), a("Media", "m1"))
    late = Late(living.stores.index)
    living.replace_stores(index=late)
    for strong in (False, True):
        asked = search(living.archive, living.asker(someone()), Where("Media"), [], lenient=False, strong=strong)
        assert living.run(asked).lag_ms == 1500
    assert [page.strong for page in late.pages] == [False, True]
    entries = living.search(someone(), "Media")["entry"]
    assert [entry["search"]["mode"] for entry in entries] == ["match", "outcome"]
    (issue,) = entries[1]["resource"]["issue"]
    assert issue == {"severity": "warning", "code": "incomplete", "diagnostics": "It is behind."}


def test_what_only_the_database_could_answer_says_nothing(living: House) -> None:
    asked = search(living.archive, living.asker(someone()), Where("Media"), [], lenient=False)
    assert living.run(asked).lag_ms is None


def test_a_page_is_as_strong_as_the_walk() -> None:
    assert not Walk(10).page().strong
    assert Walk(10, strong=True).page().strong
