"""Searches made of the values that two worlds hold, shown ones and hidden ones: every form a search can take."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

from fhirmedia.core.clock import instant
from fhirmedia.r4.registry import SearchParameter
from fhirmedia.r4.values import IndexEntries
from tests.access.search_worlds import POINTED_AT, Looker, registry
from tests.access.worlds import MINUTE, MORNING
from tests.fhir.value_queries import queries

FORMS = frozenset({
    "token", "date", "reference", "string", "uri", "quantity", "composite", "words", "phrase", "excluded word",
    ":missing", ":not", ":text", ":contains", ":exact", ":identifier", ":Type", ":of-type", ":below", ":above", ":in",
    ":not-in", "prefix", "two values", "two conditions", "cross-type", "chain", "chain of two", "_has", "_has of chain",
    "_include", "_include=*", "_include:iterate", "_revinclude", "_revinclude=*", "_revinclude:iterate",
    "_sort", "_summary", "_summary=count", "_elements", "_total", "_count", "next page", "POST", "compartment",
    "compartment of all", "system", "system POST", "NDJSON", "lenient", "$media-stats", "$explain-search",
    "$access-log", "AuditEvent", "$everything", "history", "_lastUpdated",
})  # fmt: skip
"""The forms, by which the corpus is counted and its control asks whether each can tell worlds apart."""

_LATERALITY = "https://fhirmedia.org/ValueSet/laterality"
_TIMELINE = ("Media", "DocumentReference", "ImagingStudy", "DiagnosticReport")
_FACETS = "facet=kind,department,body-site,year&facet=content-type,month"
_NDJSON = {"Accept": "application/fhir+ndjson"}
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}

Condition = tuple[str, str]
_POINTED: Sequence[tuple[str, str, Sequence[Condition]]] = (
    ("chain", "Media", [("encounter:Encounter._id", POINTED_AT)]),
    ("chain", "DocumentReference", [("author:Practitioner.family", "quagga")]),
    ("two conditions", "DocumentReference", [("author:Practitioner.family", "quagga"), ("_content", "okapi")]),
    ("chain of two", "Media", [("encounter:Encounter.part-of:Encounter._id", "shown-1")]),
    ("_has", "Encounter", [("_has:Media:encounter:_id", "secret-0")]),
    ("_has of chain", "Patient", [("_has:Media:patient:encounter:Encounter._id", "shown-1")]),
    ("_has of chain", "Patient", [("_has:Media:subject:_has:DiagnosticReport:media:status:not", "final")]),
    ("_revinclude:iterate", "Encounter", [("_revinclude", "Media:encounter"), ("_revinclude:iterate", "Task:focus")]),
    (":Type", "Media", [("encounter:Encounter", "shown-1")]),
    ("reference", "Media", [("subject", POINTED_AT)]),
    ("reference", "Media", [("subject", "shown-1")]),
    ("reference", "DocumentReference", [("author", f"{POINTED_AT},shown-2"), ("_summary", "count")]),
    (":of-type", "Media", [("identifier:of-type", "urn:types|MR|n-1")]),
    (":in", "Media", [("laterality:in", _LATERALITY)]),
    (":not-in", "Media", [("laterality:not-in", _LATERALITY)]),
    (":text", "DiagnosticReport", [("code:text", "find")]),
    ("words", "Media", [("_content", "hagg")]),
    ("words", "Media", [("text", "quagga OR 11")]),
    ("phrase", "Media", [("_content", '"okapi quagga"')]),
    ("excluded word", "Media", [("text", "okapi -zebra")]),
    ("_lastUpdated", "Media", [("_lastUpdated", f"ge{instant(MORNING + MINUTE // 2)}")]),
    ("compartment", "Patient/bo/Media", []),
    ("_lastUpdated", "Media", [("_sort", "-_lastUpdated"), ("_count", "1")]),
)
"""Aimed at what a secret record alone can answer."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, the forms it has, and whether its next pages are asked for, too."""

    forms: frozenset[str]
    method: str
    path: str
    sent: dict[str, Any] = field(default_factory=dict)


class Asks:
    """Makes searches for one looker; each condition is met by some record of one of the worlds."""

    def __init__(self, looker: Looker, held: Iterable[IndexEntries]) -> None:
        self._looker = looker
        self._random = Random(looker.name)
        self._held = list(held)

    def some(self, most: int, *, of_each: int) -> list[Ask]:
        """About so many, shuffled, and so many of each form at least, where there are as many."""
        every, kept = list(self.all()), dict[int, Ask]()
        for form in sorted(FORMS):
            kept |= dict(self._some([(at, each) for at, each in enumerate(every) if form in each.forms], of_each))
        left = [(at, each) for at, each in enumerate(every) if at not in kept]
        kept |= dict(self._some(left, most - len(kept)) if len(kept) < most else [])
        pointed = [_ask([form], type, asked) for form, type, asked in _POINTED]
        asks = [each for _, each in sorted(kept.items())]
        asks += map(_counted, pointed) if self._looker.counts_only else pointed
        self._random.shuffle(asks)
        return asks

    def all(self) -> Iterator[Ask]:
        """Every form, in an order that is the same in both worlds."""
        searches = self._searches()
        yield from map(_counted, searches) if self._looker.counts_only else searches

    def _searches(self) -> Iterator[Ask]:
        types = self._looker.types or _TIMELINE
        for type in types:
            yield from self._of_type(type)
        for type in types:
            yield from self._through_others(type, types)
            yield from self._results(type)
            yield from self._places(type)
        yield from self._across(types)
        yield from self._operations(types)

    def _some(self, choices: Iterable[Any], most: int) -> list[Any]:
        found = list(choices)
        return self._random.sample(found, min(most, len(found)))

    def _met(self, type: str, *, most: int = 1000, code: str | None = None) -> list[tuple[SearchParameter, Condition]]:
        """Parameters of the type with a condition that some record of it meets."""
        found = {
            condition: parameter
            for parameter in registry().types[type].indexed.values()
            if code in (None, parameter.code) and parameter.code != "_lastUpdated"
            for each in self._held
            if each.key.type == type
            for condition in queries(parameter, each)
        }
        return self._some([(parameter, condition) for condition, parameter in found.items()], most)

    def _of_type(self, type: str) -> Iterator[Ask]:
        for parameter, (name, value) in self._met(type, most=14):
            yield _ask([parameter.kind if ":" not in name else ":identifier"], type, [(name, value)])
        for parameter, condition in self._met(type, most=10):
            for form, changed in self._modified(parameter, condition):
                yield _ask([form], type, [changed])
        (_, first), (_, second) = self._met(type, most=2)
        yield _ask(["two conditions"], type, [first, second])
        yield _ask(["words"], type, [("_content", self._random.choice(("zebra", "quagga", "hagg", "ok")))])
        yield _ask(["words"], type, [("_text", "text")])
        if "text" in registry().types[type].indexed:
            yield _ask(["words", "cross-type"], type, [("text", "quagga OR 11")])
        yield _ask([":missing"], type, [(f"{self._random.choice(self._plain(type))}:missing", "true")])

    def _plain(self, type: str) -> list[str]:
        kinds = ("composite", "special")
        return [code for code, each in registry().types[type].parameters.items() if each.kind not in kinds]

    def _modified(self, parameter: SearchParameter, condition: Condition) -> Iterator[tuple[str, Condition]]:
        name, value = condition
        if ":" in name or parameter.kind == "composite":
            return
        yield ":missing", (f"{name}:missing", self._random.choice(("true", "false")))
        match parameter.kind:
            case "token":
                yield ":not", (f"{name}:not", value)
                yield "two values", (name, f"{value},{POINTED_AT}")
                if name in ("code", "type", "category", "body-site", "modality"):
                    yield ":text", (f"{name}:text", self._random.choice(("x", "two", "quoted", "blabarsyltetoy")))
            case "string":
                yield ":exact", (f"{name}:exact", value)
                yield ":contains", (f"{name}:contains", value[:5])
            case "date":
                for prefix in self._some(("lt", "ne", "sa", "eb", "ap", "gt"), 2):
                    yield "prefix", (name, prefix + value[2:])
            case "reference" if value.count("/") == 1:
                kind, _, id = value.partition("/")
                yield ":Type", (f"{name}:{kind}", id)
            case "uri" if value.startswith("http"):
                yield self._random.choice(((":below", (f"{name}:below", value)), (":above", (f"{name}:above", value))))

    def _through_others(self, type: str, types: Sequence[str]) -> Iterator[Ask]:
        served = registry().types
        for link in self._some(self._links(type, types), 3):
            for target in self._some((each for each in types if each in link.targets), 2):
                for _, (name, value) in self._met(target, most=2):
                    chained = f"{link.code}:{target}.{name}"
                    yield _ask(["chain"], type, [(chained, value)])
                yield _ask(["_include"], type, [("_include", f"{type}:{link.code}:{target}")])
                for further in self._some(self._links(target, types), 1):
                    last = next(each for each in types if each in further.targets)
                    for _, (name, value) in self._met(last, most=1):
                        chained = f"{link.code}:{target}.{further.code}:{last}.{name}"
                        yield _ask(["chain of two"], type, [(chained, value)])
                    both = [("_include", f"{type}:{link.code}"), ("_include:iterate", f"{target}:{further.code}")]
                    yield _ask(["_include:iterate"], type, both)
        back = [(source, link) for source in types for link in self._links(source, types) if type in link.targets]
        for source, link in self._some(back, 3):
            for _, (name, value) in self._met(source, most=2):
                yield _ask(["_has"], type, [(f"_has:{source}:{link.code}:{name}", value)])
            yield _ask(["_revinclude"], type, [("_revinclude", f"{source}:{link.code}")])
            if "patient" in served[source].parameters:
                told = [("_revinclude", f"{source}:{link.code}"), ("_revinclude:iterate", f"{source}:patient")]
                yield _ask(["_revinclude:iterate"], type, told)
                for _, (name, value) in self._met("Patient", most=1):
                    chained = f"_has:{source}:{link.code}:patient:Patient.{name}"
                    yield _ask(["_has of chain"], type, [(chained, value)])
        yield _ask(["_include=*"], type, [("_include", "*")])
        yield _ask(["_revinclude=*"], type, [("_revinclude", "*"), ("_count", "2")])

    def _links(self, type: str, types: Sequence[str]) -> list[SearchParameter]:
        parameters = registry().types[type].parameters.values()
        return [each for each in parameters if each.kind == "reference" and set(each.targets) & set(types)]

    def _results(self, type: str) -> Iterator[Ask]:
        sortable = [code for code in self._plain(type) if registry().types[type].indexed[code].kind != "token"]
        sortable += ["_id", "_lastUpdated"]
        for code in self._some(sortable, 3):
            order = self._random.choice(("", "-")) + code
            yield _ask(["_sort", "next page"], type, [("_sort", order), ("_count", "1"), ("_total", "accurate")])
        for summary in self._some(("true", "text", "data", "false"), 2):
            yield _ask(["_summary"], type, [("_summary", summary), *self._one(type)])
        yield _ask(["_summary=count"], type, [("_summary", "count"), *self._one(type)])
        yield _ask(["_elements"], type, [("_elements", "id,subject")])
        for total in ("accurate", "estimate", "none"):
            yield _ask(["_total", "next page"], type, [("_total", total), ("_count", "1")])
        yield _ask(["_count"], type, [("_count", self._random.choice(("0", "3", "1000000")))])

    def _one(self, type: str) -> list[Condition]:
        return [condition for _, condition in self._met(type, most=1)]

    def _places(self, type: str) -> Iterator[Ask]:
        asked = self._one(type)
        yield Ask(frozenset({"POST"}), "POST", f"/{type}/_search", {"content": urlencode(asked), "headers": _FORM})
        for patient in ("anna", "bo"):
            yield _ask(["compartment"], f"Patient/{patient}/{type}", [("_total", "accurate")])
        yield _ask(["NDJSON"], type, [], headers=_NDJSON)
        yield _ask(["NDJSON"], type, asked, headers=_NDJSON)
        yield _ask(["lenient"], type, [("colour", "red"), *asked], headers={"Prefer": "handling=lenient"})
        yield _ask(["$explain-search"], f"{type}/$explain-search", asked)
        yield _ask(["$media-stats"], f"{type}/$media-stats", asked)
        yield _ask(["history"], f"{type}/_history", [("_count", "3")])
        yield _ask(["history"], f"{type}/{POINTED_AT}/_history", [])

    def _across(self, types: Sequence[str]) -> Iterator[Ask]:
        listed = ",".join(each for each in _TIMELINE if each in types) or types[0]
        every = [("_type", listed)]
        for asked in (
            [("when", "2026-01")], [("_sort", "-when"), ("_count", "2")], [("patient", "Patient/bo")],
            [("_content", "okapi")], [("_content", '"okapi quagga"')], [("_content", "quagga")],
            [("department", "derm")],
        ):  # fmt: skip
            for headers in ({}, _NDJSON) if asked[0][0] != "_sort" else ({},):
                forms = ["system", "cross-type", *(["next page"] if asked[0][0] == "_sort" else [])]
                yield _ask(forms, "", [*every, *asked], headers=headers)
            forms = frozenset({"system POST", "cross-type"})
            yield Ask(forms, "POST", "/_search", {"content": urlencode([*every, *asked]), "headers": _FORM})
        yield _ask(["system"], "", [("_id", f"{POINTED_AT},shown-1")])
        for patient in ("anna", "bo"):
            yield _ask(["compartment of all", "next page"], f"Patient/{patient}/*", [("_count", "5")])
            yield _ask(["compartment of all"], f"Patient/{patient}/*", [*every, ("when", "ge2026")])
        for modifier in (":below", ":above"):
            for value in ("http://snomed.info/sct|53120007", "774007"):
                yield _ask([modifier], "Media", [(f"body-site{modifier}", value)])
            yield _ask([modifier], "Media", [(f"department{modifier}", "derm")])

    def _operations(self, types: Sequence[str]) -> Iterator[Ask]:
        listed = ",".join(each for each in _TIMELINE if each in types) or types[0]
        for query in (f"_type={listed}&{_FACETS}", f"_type={listed}&{_FACETS}&kind=image&own-filter=true",
                      f"_type={listed}&{_FACETS}&text=okapi", f"_type={listed}&{_FACETS}&patient=bo"):  # fmt: skip
            yield Ask(frozenset({"$media-stats"}), "GET", f"/$media-stats?{query}")
        for patient in ("anna", "bo"):
            yield _ask(["$media-stats"], f"Patient/{patient}/$media-stats", [("_type", listed), ("facet", "year")])
            yield _ask(["$everything"], f"Patient/{patient}/$everything", [])
            yield _ask(["$everything", "next page"], f"Patient/{patient}/$everything", [("_count", "7")])
            yield _ask(["$access-log"], f"Patient/{patient}/$access-log", [("_count", "5")])
            yield _ask(["AuditEvent"], "AuditEvent", [("patient", patient), ("_total", "accurate")])
        for query in (
            f"entity=Media/{POINTED_AT}",
            "outcome=4",
            "subtype=search-type",
            "agent:identifier=x",
            "type=rest",
        ):
            yield Ask(frozenset({"AuditEvent"}), "GET", f"/AuditEvent?{query}&_total=accurate")
        yield _ask(["history", "next page"], "_history", [("_count", "9")])


def _ask(forms: Sequence[str], place: str, asked: Sequence[Condition], **sent: Any) -> Ask:
    query = "&".join(f"{quote(name, safe=':.*_')}={quote(value, safe='|:/,')}" for name, value in asked)
    return Ask(frozenset(forms), "GET", f"/{place}?{query}", sent)


def _counted(ask: Ask) -> Ask:
    """What a search of one type becomes for one who may count only."""
    place, _, query = ask.path.partition("?")
    if ask.method != "GET" or place[1:] not in registry().types or "NDJSON" in ask.forms:
        return ask
    return Ask(
        ask.forms,
        "GET",
        f"{place}/$media-stats?{query}&facet=kind" if "_" not in query else f"{ask.path}&_summary=count",
    )


def told(ask: Ask) -> str:
    """The request for a failure's text."""
    return f"{ask.method} {ask.path} {json.dumps({**ask.sent}, default=str)}"
