"""Search parameters of one installation: definitions that came in after the program was made.

The folder holds them as one text (`dump_added`), each with whether every resource is indexed by it. Until then it is
kept for what is written, and nobody can search by it; from then on it is served like those of `profiles/`. A process
that was started before one came in completes what it indexes with `Latecomers`.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import TypeVar
from zoneinfo import ZoneInfo

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.settings import DEFAULT_LANGUAGE
from fhirmedia.r4.checker import check
from fhirmedia.r4.codec import dump
from fhirmedia.r4.collation import SORTED
from fhirmedia.r4.conformance import definitions
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.profiles_path import profiles
from fhirmedia.r4.registry import Registry, SearchParameter, ServedType, compiled, try_conversions
from fhirmedia.r4.switchboard import Switchboard, own_definitions, read_switchboard, refused
from fhirmedia.r4.texts import OF_CODED
from fhirmedia.r4.tokens import OF_TYPE
from fhirmedia.r4.ucum import CANONICAL
from fhirmedia.r4.values import IndexEntries

_TYPE = "SearchParameter"  # type-name: what is added is a resource of this type
_KINDS = frozenset({"token", "date", "reference", "string", "uri", "number", "quantity"})
_CODE = re.compile(r"[a-z][A-Za-z0-9-]{0,63}")
_TIMELINE = "when"
_OFFICIAL = "http://hl7.org/fhir/"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AddedParameter:
    """One SearchParameter as it was added; `ready` once every resource is indexed by it; `parameters` by type."""

    resource: JsonObject
    ready: bool
    parameters: Mapping[str, SearchParameter] = field(repr=False, compare=False)

    @property
    def code(self) -> str:
        return str(self.resource["code"])


def read_added(content: bytes, registry: Registry) -> AddedParameter:
    """A SearchParameter in JSON, for the types that the program's own Registry serves.

    Raises Failure INVALID naming the element: not sound, of a kind or with an expression that cannot be served, for a
    type that is not searched, or with a code, id or url that something else has.
    """
    resource = parse_json(content)
    issues = check(resource, type=_TYPE)
    if issues:
        raise Failure(Category.INVALID, issues=issues)
    if "id" not in resource:
        raise refused("A search parameter that is added has an id.", _of("id"))
    _require_own_name(resource, registry)
    return _added(resource, registry, read_switchboard(profiles()), ready=False)


def _added(resource: JsonObject, registry: Registry, board: Switchboard, *, ready: bool) -> AddedParameter:
    kind, code = str(resource["type"]), str(resource["code"])
    if kind not in _KINDS:
        raise refused(f"A search parameter that is added is of a type out of {', '.join(sorted(_KINDS))}.", _of("type"))
    if not _CODE.fullmatch(code) or code == _TIMELINE:
        raise refused("The code is a small letter, then letters, digits and hyphens, and is not when.", _of("code"))
    parameters: dict[str, SearchParameter] = {}
    for type, definition in own_definitions(resource):
        _require_searched(type, registry)
        if board.definition(type, code) is not None:
            raise refused(f"The code {code} is taken on {type}.", _of("code"))
        parameters[type] = compiled(type, definition)
        try_conversions(replace(registry.types[type], indexed={code: parameters[type]}, membership=()))
    return AddedParameter(resource, ready, parameters)


def require_own_name(parameter: AddedParameter, others: Iterable[AddedParameter]) -> None:
    """Raise Failure INVALID where another parameter that was added has the id or the url of this one."""
    for each in others:
        for name in ("id", "url"):
            if each.resource[name] == parameter.resource[name]:
                raise refused(f"The {name} is that of {each.code}, which was added before.", _of(name))


def dump_added(added: Iterable[AddedParameter]) -> str:
    """All of them as one text."""
    return json.dumps([{"ready": each.ready, "resource": dump(each.resource).decode()} for each in added])


def load_added(text: str, registry: Registry) -> tuple[AddedParameter, ...]:
    """What `dump_added` made; raises as `read_added` where this program cannot serve what another one took in."""
    each_one = json.loads(text)
    if not each_one:
        return ()
    board = read_switchboard(profiles())
    return tuple(_added(parse_json(one["resource"].encode()), registry, board, ready=one["ready"]) for one in each_one)


def with_added(registry: Registry, added: Sequence[AddedParameter]) -> Registry:
    """The program's own Registry and what was added: all of it is indexed, what is ready can be searched by."""
    types, waiting = dict(registry.types), dict[str, frozenset[str]]()
    for each in added:
        for type, parameter in each.parameters.items():
            served = types[type]
            types[type] = replace(served, indexed=_more(served.indexed, parameter))
            if each.ready:
                types[type] = replace(types[type], parameters=_more(served.parameters, parameter))
            else:
                waiting[type] = waiting.get(type, frozenset()) | {each.code}
    ready = tuple(each.resource for each in added if each.ready)
    return replace(registry, types=MappingProxyType(types), added=ready, waiting=MappingProxyType(waiting))


class Latecomers:
    """Completes the entries of an Extractor that was made before parameters were added, or with other definitions.

    `own` is the program's Registry without any, `known` what the Extractor knows. Not safe among threads.
    """

    def __init__(
        self, own: Registry, known: str, *, base_url: str, zone: ZoneInfo, language: str = DEFAULT_LANGUAGE
    ) -> None:
        self._own = own
        self._known = {each.code: each for each in load_added(known, own)}
        self._extractor_of = partial(Extractor, base_url=base_url, zone=zone, language=language)
        self._text = known
        self._extractor: Extractor | None = None
        self._codes: Mapping[str, tuple[str, ...]] = {}

    def follow(self, text: str) -> None:
        """What is added now. Raises Failure UNAVAILABLE where this program cannot index by it."""
        if text == self._text:
            return
        try:
            added = load_added(text, self._own)
        except Failure:
            raise Failure(
                Category.UNAVAILABLE, "This process is older than the search parameters of its folder; start it anew."
            ) from None
        types: dict[str, ServedType] = {}
        codes: dict[str, tuple[str, ...]] = {}
        for each in added:
            had = self._known.get(each.code)
            if had is not None and had.resource == each.resource:
                continue
            for type in {*each.parameters, *(() if had is None else had.parameters)}:
                before = types.get(type, replace(self._own.types[type], indexed={}, parameters={}, membership=()))
                now = each.parameters.get(type)
                types[type] = before if now is None else replace(before, indexed=_more(before.indexed, now))
                codes[type] = (*codes.get(type, ()), each.code)
        self._codes = codes
        made = replace(self._own, types=types)
        self._extractor = self._extractor_of(made) if types else None
        self._text = text

    def completed(self, entries: IndexEntries, body: bytes | None) -> IndexEntries:
        """The entries of a resource with what the parameters that came late yield, instead of what they had of them."""
        if self._extractor is None or entries.key.type not in self._codes or body is None:
            return entries
        found = self._extractor.entries(parse_json(body), key=entries.key, last_updated_ms=0)
        kinds = ("", OF_TYPE, OF_CODED, CANONICAL, SORTED)
        fields = {code + kind for code in self._codes[entries.key.type] for kind in kinds}
        return replace(
            entries,
            values=_instead(entries.values, found.values, fields),
            texts=_instead(entries.texts, found.texts, fields),
        )


def _instead(had: Mapping[str, T], found: Mapping[str, T], names: set[str]) -> dict[str, T]:
    kept = {name: value for name, value in had.items() if name not in names}
    return kept | {name: value for name, value in found.items() if name in names}


def _more(had: Mapping[str, SearchParameter], parameter: SearchParameter) -> Mapping[str, SearchParameter]:
    return MappingProxyType({**had, parameter.code: parameter})


def _require_searched(type: str, registry: Registry) -> None:
    served = registry.types.get(type)
    if served is None or served.read_only or "search-type" not in served.interactions:
        raise refused(f"{type} is no type that is stored and searched here.", _of("base"))


def _require_own_name(resource: JsonObject, registry: Registry) -> None:
    if str(resource["url"]).startswith(_OFFICIAL):
        raise refused("The url is the standard's; a parameter of your own has one of your own.", _of("url"))
    for each in definitions(registry):
        if each["resourceType"] == _TYPE and any(each.get(name) == resource[name] for name in ("id", "url")):
            raise refused("The id or the url is that of a search parameter of the program.", _of("url"))


def _of(name: str) -> str:
    return f"{_TYPE}.{name}"
