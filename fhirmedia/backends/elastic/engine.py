"""SearchEngine on Elasticsearch: makes, checks and drops generations, and counts what is in one."""

from collections.abc import Collection, Mapping, Sequence
from http import HTTPStatus
from zoneinfo import ZoneInfo

from fhirmedia.backends.elastic import mapping
from fhirmedia.backends.elastic.client import ElasticClient, require_supported, unavailable, understood
from fhirmedia.backends.elastic.document import Documents
from fhirmedia.backends.elastic.documents import ElasticDocuments, Making
from fhirmedia.backends.elastic.index import ElasticIndex
from fhirmedia.backends.elastic.names import Names
from fhirmedia.backends.elastic.placing import Json
from fhirmedia.backends.elastic.searching import Searching
from fhirmedia.backends.elastic.shape import Family, Listing, Shape, fingerprint_of, listing, shape_of
from fhirmedia.backends.elastic.writing import UNDER_WAY_BYTES, Room
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.index_address import IndexAddress
from fhirmedia.core.records import Key, parse_key
from fhirmedia.core.settings import DEFAULT_LANGUAGE
from fhirmedia.ports.documents import DocumentChange
from fhirmedia.ports.generations import Tally
from fhirmedia.r4.registry import Registry

_WITHIN_S = 30.0
_ABSENT = frozenset({HTTPStatus.NOT_FOUND})
_PAGE = 10_000


class Shapes:
    """What documents look like as long as a Registry says the same, and anew when it says something else."""

    def __init__(
        self,
        registry: Registry,
        *,
        zone: ZoneInfo,
        base_url: str = "",
        language: str = DEFAULT_LANGUAGE,
        listed: Listing | None = None,
    ) -> None:
        self._registry = registry
        self._listed = listing() if listed is None else listed
        self._zone = zone
        self._types: object = None
        self.fingerprint = fingerprint_of(registry, self._listed, zone=zone.key, base_url=base_url, language=language)
        self._making = self._made()

    def now(self) -> Making:
        """The shape of this moment."""
        if self._types is not self._registry.types:
            self._making = self._made()
        return self._making

    def _made(self) -> Making:
        self._types = self._registry.types
        shape = shape_of(self._registry, self._listed)
        return Making(shape, Documents(shape, zone=self._zone))


class ElasticEngine:
    """One cluster, and the indices of one installation on it."""

    def __init__(self, address: IndexAddress, shapes: Shapes, *, budget_s: float) -> None:
        """Connects to nothing yet. Raises Failure INVALID for a key or certificate that cannot be read."""
        self._client = ElasticClient(address)
        self._shapes = shapes
        self._shards = address.shards
        self._budget_s = budget_s
        self._room = Room(UNDER_WAY_BYTES)
        self._names = Names(address.prefix, [family.name for family in shapes.now().shape.families])
        self._prepared_for: dict[str, Shape] = {}

    @property
    def types(self) -> Collection[str]:
        """The types it can hold."""
        return self._shape().types

    @property
    def fingerprint(self) -> str:
        """What documents are made by."""
        return self._shapes.fingerprint

    async def ping(self) -> None:
        """Raises Failure UNAVAILABLE or INVALID if it cannot be used."""
        require_supported(await self._client.version())

    async def create(self, generation: str) -> None:
        """Make its indices, to be filled. Raises Failure UNAVAILABLE."""
        for family in self._shape().families:
            index = self._names.index(generation, family)
            body = {
                "settings": mapping.settings(shards=self._shards),
                "mappings": self._mapping(family),
                "aliases": {self._names.written(generation, family): {}},
            }
            answer = await self._client.ask(
                "PUT", f"/{index}", body, within_s=_WITHIN_S, accepted=frozenset({HTTPStatus.BAD_REQUEST})
            )
            if answer.status == HTTPStatus.BAD_REQUEST and not await self._exists(index):
                raise Failure(Category.INTERNAL, "The search engine did not understand how documents look.")

    async def finish(self, generation: str) -> None:
        """From now on it is searched. Raises Failure UNAVAILABLE."""
        where = self._where(generation)
        await self._client.ask("PUT", f"/{where}/_settings", mapping.in_service(), within_s=_WITHIN_S)
        await self.documents(generation).refresh()

    async def drop(self, generation: str) -> None:
        """Remove its indices. Raises Failure UNAVAILABLE."""
        self._prepared_for.pop(generation, None)
        for family in self._shape().families:
            path = f"/{self._names.index(generation, family)}"
            await self._client.ask("DELETE", path, within_s=_WITHIN_S, accepted=_ABSENT)

    async def is_sound(self, generation: str) -> bool:
        """Whether its indices are there with our mapping. Raises Failure UNAVAILABLE."""
        for family in self._shape().families:
            index = self._names.index(generation, family)
            answer = await self._client.ask("GET", f"/{index}", within_s=_WITHIN_S, accepted=_ABSENT)
            if answer.status == HTTPStatus.NOT_FOUND:
                return False
            with understood():
                found = answer.body[index]
                wanted, there = self._mapping(family), found["mappings"]
                same = (there.get(name) == wanted[name] for name in ("dynamic", "_meta", "_source"))
                if not all(same) or self._names.written(generation, family) not in found["aliases"]:
                    return False
                if mapping.differs(there.get("properties", {}), wanted["properties"]):
                    return False
        return True

    async def is_complete(self, generation: str) -> bool:
        """Whether every shard of its indices, which are there, is on some node. Raises Failure UNAVAILABLE."""
        path = f"/_cluster/health/{self._where(generation)}"
        late = frozenset({HTTPStatus.REQUEST_TIMEOUT})
        answer = await self._client.ask("GET", path, within_s=_WITHIN_S, accepted=late, timeout="1s")
        with understood():
            return bool(answer.body["status"] != "red")

    async def generations(self) -> Collection[str]:
        """Those that have an index. Raises Failure UNAVAILABLE."""
        path = f"/_cat/indices/{self._names.pattern()}"
        answer = await self._client.ask("GET", path, within_s=_WITHIN_S, h="index", format="json")
        with understood():
            found = (self._names.generation(row["index"]) for row in answer.body)
            return {each for each in found if each is not None}

    def documents(self, generation: str) -> ElasticDocuments:
        """Where its documents are written."""
        shape, prepared = self._shape(), self._prepared
        return ElasticDocuments(self._client, self._names, generation, shape=shape, prepared=prepared, room=self._room)

    def index(self, generation: str) -> ElasticIndex:
        """What searches it."""
        searching = Searching(self._client, self._names, generation, budget_s=self._budget_s)
        return ElasticIndex(searching, self._shape)

    async def tally(self, generation: str) -> Tally:
        """How many documents there are of each type, unit and year. Raises Failure UNAVAILABLE."""
        found: dict[tuple[str, str | None, str | None], int] = {}
        fields = {"type": "rt", "unit": "acl.unit", "year": "f.year"}
        sources = [{name: {"terms": {"field": field, "missing_bucket": True}}} for name, field in fields.items()]
        after: Json = {}
        while True:
            division = {"composite": {"size": _PAGE, "sources": sources, **after}}
            body = {"size": 0, "track_total_hits": False, "aggs": {"each": division}}
            answer = await self._search(generation, body)
            with understood():
                each = answer["aggregations"]["each"]
                for bucket in each["buckets"]:
                    key = bucket["key"]
                    found[key["type"], key["unit"], key["year"]] = bucket["doc_count"]
            if "after_key" not in each:
                return found
            after = {"after": each["after_key"]}

    async def orders(self, generation: str, keys: Sequence[Key]) -> Mapping[Key, int]:
        """The order of each document there is. Raises Failure UNAVAILABLE."""
        wanted = [
            {"_index": self._names.index(generation, family), "_id": str(key), "_source": False}
            for key in keys
            if (family := self._shape().family(key.type)) is not None
        ]
        if not wanted:
            return {}
        answer = await self._client.ask("POST", "/_mget", {"docs": wanted}, within_s=_WITHIN_S)
        with understood():
            if any("error" in each for each in answer.body["docs"]):
                raise unavailable("The search engine has lost its index.")
            return {parse_key(each["_id"]): each["_version"] for each in answer.body["docs"] if each["found"]}

    async def newest_order(self, generation: str) -> int:
        """The highest order there is. Raises Failure UNAVAILABLE."""
        body = {"size": 0, "track_total_hits": False, "aggs": {"newest": {"max": {"field": "order"}}}}
        found = await self._search(generation, body)
        with understood():
            value = found["aggregations"]["newest"]["value"]
            return int(value) if value is not None else 0

    def digest(self, change: DocumentChange) -> str:
        """What the document made of a change is told by; empty where there is to be none."""
        return self._shapes.now().digest(change)

    async def digests(self, generation: str, keys: Sequence[Key]) -> Mapping[Key, str]:
        """The digests of the documents searches find. Raises Failure UNAVAILABLE."""
        found: dict[Key, str] = {}
        for start in range(0, len(keys), _PAGE):
            some = [str(key) for key in keys[start : start + _PAGE]]
            body = {
                "size": len(some),
                "track_total_hits": False,
                "query": {"terms": {"key": some}},
                "docvalue_fields": ["key", "digest"],
                "stored_fields": "_none_",
            }
            answer = await self._search(generation, body)
            with understood():
                for hit in answer["hits"]["hits"]:
                    found[parse_key(hit["fields"]["key"][0])] = hit["fields"]["digest"][0]
        return found

    async def close(self) -> None:
        """Let go of all connections."""
        await self._client.close()

    def _shape(self) -> Shape:
        return self._shapes.now().shape

    def _where(self, generation: str) -> str:
        return ",".join(self._names.index(generation, family) for family in self._shape().families)

    def _mapping(self, family: Family) -> Json:
        return mapping.mapping(family, self._shape(), fingerprint=self.fingerprint)

    async def _exists(self, index: str) -> bool:
        return (
            await self._client.ask("HEAD", f"/{index}", within_s=_WITHIN_S, accepted=_ABSENT)
        ).status == HTTPStatus.OK

    async def _search(self, generation: str, body: Json) -> Json:
        path = f"/{self._where(generation)}/_search"
        answer = await self._client.ask("POST", path, body, within_s=_WITHIN_S, allow_partial_search_results="false")
        found: Json = answer.body
        return found

    async def _prepared(self, generation: str) -> Making:
        """How documents are made now, once the indices have fields for all that was added while they were there."""
        making = self._shapes.now()
        if self._prepared_for.get(generation) is not making.shape:
            for family in making.shape.families:
                path = f"/{self._names.index(generation, family)}/_mapping"
                body = {"properties": mapping.properties(family, making.shape)}
                await self._client.ask("PUT", path, body, within_s=_WITHIN_S)
            self._prepared_for[generation] = making.shape
        return making
