"""Readings: what a write would store of a resource, and what follows from that, also before the writer's turn.

Every writer waits for the one transaction, so what takes longest and needs none is done outside it. A Reading follows
from the resource, from the Caller, from the version it replaces, and from the few records that lend it facts. One that
was made ahead is for its Caller alone, and names the others. Inside the transaction it holds as long as each of them
still is what it was. Otherwise it is made anew, there.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from fhirmedia.access.caller import Caller
from fhirmedia.access.security_labels import labels_of, security_to_store
from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.custody.lenders import Lenders
from fhirmedia.r4.codec import FIRST, PreparedBody, prepare
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.facts import Lookup, Ownership, department_tag, facts_owned, owned_by
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.json_types import JsonArray, JsonObject
from fhirmedia.r4.registry import Registry
from fhirmedia.r4.values import IndexEntries

AHEAD_AT_MOST = 65_536
"""Bytes of a resource that is read ahead, and of the version it replaces: it is done on the event loop."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A resource with its meta as stored, whom it belongs to, what the index and access decisions know, its JSON."""

    resource: JsonObject
    owner: Ownership
    entries: IndexEntries
    facts: Facts
    body: PreparedBody


@dataclass(frozen=True, slots=True)
class ReadAhead:
    """A Reading of `given` over a version (its sequence; None: none was there), with the bodies that lent it facts.

    It is for the Caller and the Key it was made for.
    """

    reading: Reading
    given: JsonObject
    over: int | None
    lent: Mapping[Key, bytes]

    def holds(self, given: JsonObject, *, old: Record | None, newest: Callable[[Key], bytes | None]) -> bool:
        """Whether it is what comes of it now; `newest` gives the bodies of the lenders."""
        return (
            self.given is given
            and self.over == _sequence_of(old)
            and all(newest(lender) == body for lender, body in self.lent.items())
        )


class Readings:
    """Makes Readings of resources that were checked."""

    def __init__(self, registry: Registry, extractor: Extractor, *, base_url: str, lenders: Lenders) -> None:
        self._registry = registry
        self._extractor = extractor
        self._base_url = base_url
        self._lenders = lenders

    def entries(self, resource: JsonObject, key: Key) -> IndexEntries:
        """What the index will know of a resource."""
        return self._extractor.entries(resource, key=key, last_updated_ms=0)

    def of(self, given: JsonObject, key: Key, caller: Caller, *, old: Record | None, lookup: Lookup) -> Reading:
        """The Reading of a resource as it was sent. Raises Failure FORBIDDEN for labels that may not be lowered."""
        owner = self._owner(given, key, lookup)
        resource = self._with_meta(given, caller, old, owner)
        return self._reading(resource, key, owner, prepare(resource))

    def again(self, reading: Reading, key: Key) -> Reading:
        """The same after its resource was completed."""
        return self._reading(reading.resource, key, reading.owner, prepare(reading.resource))

    def ahead(
        self, given: JsonObject, key: Key, caller: Caller, *, old: Record | None, coming: Collection[Key]
    ) -> ReadAhead | None:
        """The Reading as far as it can be known before the transaction, which is to write `coming`.

        None where a record that it needs is not known, and for what is large. Raises as `of`.
        """
        if old is not None and len(old.body or b"") > AHEAD_AT_MOST:
            return None
        lent: dict[Key, bytes] = {}

        def lookup(lender: Key) -> JsonObject:
            known = self._lenders.known(lender)
            if known is None or lender in coming:
                raise _UnknownLender
            lent[lender] = known[0]
            return known[1]

        try:
            # First of all: what is in vain must not take longer because a record is there.
            owner = self._owner(given, key, lookup)
        except _UnknownLender:
            return None
        resource = self._with_meta(given, caller, old, owner)
        body = prepare(resource)
        if len(body.rest) > AHEAD_AT_MOST:
            return None
        return ReadAhead(self._reading(resource, key, owner, body), given, _sequence_of(old), lent)

    def _owner(self, resource: JsonObject, key: Key, lookup: Lookup) -> Ownership:
        return owned_by(resource, key.type, registry=self._registry, base_url=self._base_url, lookup=lookup)

    def _reading(self, resource: JsonObject, key: Key, owner: Ownership, body: PreparedBody) -> Reading:
        entries = self.entries(resource, key)
        facts = facts_owned(resource, owner, entries=entries, registry=self._registry, base_url=self._base_url)
        return Reading(resource, owner, entries, facts, body)

    def _with_meta(self, resource: JsonObject, caller: Caller, old: Record | None, owner: Ownership) -> JsonObject:
        """In the order it is stored in, since words are indexed in the order of the text."""
        given = resource.get("meta")
        meta = dict(given) if isinstance(given, dict) else {}
        sent = meta.get("security")
        stored = _security(old) if old is not None else None
        security = security_to_store(stored, sent if isinstance(sent, list) else None, caller=caller)
        if security:
            meta["security"] = security
        else:
            meta.pop("security", None)
        tag = department_tag(resource, owner, registry=self._registry)
        if tag is not None:
            present = meta.get("tag")
            meta["tag"] = [*(present if isinstance(present, list) else []), tag]
        whole = resource | {"meta": meta}
        return {name: whole[name] for name in FIRST if name in whole} | whole


class _UnknownLender(LookupError):
    """A record that lends facts has to be looked at in the transaction."""


def _sequence_of(record: Record | None) -> int | None:
    return None if record is None else record.sequence


def _security(record: Record) -> JsonArray:
    """The labels in force: those of the body, or of the last one there was, which facts keep past a deletion."""
    if record.body is None:
        return labels_of(record.facts)
    meta = parse_json(record.body).get("meta")
    security = meta.get("security") if isinstance(meta, dict) else None
    return security if isinstance(security, list) else []
