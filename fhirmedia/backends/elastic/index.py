"""GenerationIndex: what one generation of indices answers."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from fhirmedia.access.grant import NarrowedQuery, types_named
from fhirmedia.backends.elastic.client import understood
from fhirmedia.backends.elastic.counting import SPANS, buckets_in, division_by, people_body, people_in
from fhirmedia.backends.elastic.explaining import told
from fhirmedia.backends.elastic.searching import Searching, body_of, hits_of, page_body
from fhirmedia.backends.elastic.shape import Shape
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key
from fhirmedia.ports.index import Bucket, Hits, Page

COUNT_S = 2.0
"""So long a page waits for its total: less than the engine may take before the database answers in its place."""


class ElasticIndex:
    """Searches and counts; `shape` is asked for what documents look like at that moment."""

    def __init__(self, searching: Searching, shape: Callable[[], Shape]) -> None:
        self._searching = searching
        self._shape = shape

    @property
    def engine(self) -> str:
        """As it is called when a search is explained."""
        return "elasticsearch"

    async def search(self, query: NarrowedQuery, *, page: Page, without: Collection[Key] = ()) -> Hits:
        """The page and, if wanted, the total. Raises Failure TOO_COSTLY, UNAVAILABLE, NOT_IMPLEMENTED."""
        shape = self._shape()
        found = await self._searching.send(query, shape, page_body(page, shape), without=without)
        with understood():
            hits = hits_of(found, page, shape)
        if page.total != "accurate" or hits.total is not None:
            return hits
        return replace(hits, total=await self._counted_in_time(query, shape, without=without))

    async def _counted_in_time(self, query: NarrowedQuery, shape: Shape, *, without: Collection[Key]) -> int | None:
        """How many there are; None where a page that is there would have to wait too long for it."""
        alone = Page(0, total="accurate")
        more = page_body(alone, shape)
        try:
            found = await self._searching.send(query, shape, more, without=without, within_s=COUNT_S)
        except Failure as failure:
            if failure.category not in (Category.TOO_COSTLY, Category.UNAVAILABLE):
                raise
            return None
        with understood():
            return hits_of(found, alone, shape).total

    async def explain(self, query: NarrowedQuery, *, page: Page, without: Collection[Key] = ()) -> str:
        """Where it would be searched, by which clauses, and how many documents they visit: those that match."""
        shape = self._shape()
        families = ", ".join(family.name for family in shape.holding(types_named(query.query)))
        clauses = told(f"indices {families}", body_of(query, page_body(page, shape), without=without))
        found = await self.search(query, page=Page(0, total="accurate"), without=without)
        return f"{clauses}\ndocuments visited {found.total}"

    async def buckets(
        self, query: NarrowedQuery, *, by: str, with_patients: bool, without: Collection[Key] = ()
    ) -> Sequence[Bucket]:
        """How the answer divides. Raises Failure TOO_COSTLY, UNAVAILABLE, NOT_IMPLEMENTED."""
        (found,) = await self._divided(query, (by,), with_patients=with_patients, without=without)
        return found

    async def divisions(
        self, query: NarrowedQuery, *, by: Sequence[str], with_patients: bool, without: Collection[Key] = ()
    ) -> Sequence[Sequence[Bucket]]:
        """How it divides by each of these. Raises Failure TOO_COSTLY, UNAVAILABLE, NOT_IMPLEMENTED."""
        if not with_patients:
            return await self._divided(query, by, with_patients=False, without=without)
        # Patients are buckets of buckets, and the engine bounds how many one answer may have.
        return [await self.buckets(query, by=each, with_patients=True, without=without) for each in by]

    async def _divided(
        self, query: NarrowedQuery, by: Sequence[str], *, with_patients: bool, without: Collection[Key]
    ) -> Sequence[Sequence[Bucket]]:
        shape = self._shape()
        counted = {*SPANS, *(facet for family in shape.families for facet in family.facets)}
        if not counted.issuperset(by):
            raise Failure(Category.NOT_IMPLEMENTED, "The search engine does not count by that parameter.")
        body = division_by(*by, with_patients=with_patients)
        found = await self._searching.send(query, shape, body, without=without)
        with understood():
            return [buckets_in(found, each, with_patients=with_patients) for each in by]

    async def patients(self, query: NarrowedQuery, *, without: Collection[Key] = ()) -> int:
        """How many Patients the answer is about. Raises Failure TOO_COSTLY, UNAVAILABLE."""
        found = await self._searching.send(query, self._shape(), people_body(), without=without)
        with understood():
            return people_in(found)
