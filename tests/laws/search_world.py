"""A made-up world with a search parameter of every kind, for laws that the served types alone cannot show."""

from dataclasses import replace
from datetime import UTC, datetime

from fhirmedia.r4.elements import table
from fhirmedia.r4.expressions import compile_expression
from fhirmedia.r4.registry import Component, Kind, SearchParameter, ServedType, load_registry

NOW = int(datetime(2026, 11, 22, 9, 30, tzinfo=UTC).timestamp() * 1000)

KINDS: dict[str, Kind] = {
    "_id": "token",
    "_lastUpdated": "date",
    "status": "token",
    "when": "date",
    "subject": "reference",
    "name": "string",
    "url": "uri",
    "dose": "number",
    "length": "quantity",
    "relation": "composite",
    "text": "special",
}


def parameter(code: str, kind: Kind, *, type: str = "Media", expression: str = "") -> SearchParameter:
    return SearchParameter(
        code=code,
        kind=kind,
        url=f"http://example.org/{code}",
        expression=expression,
        targets=("Patient", "Practitioner") if kind == "reference" else (),
        components=(Component("relation$1", "reference", ""), Component("relation$2", "token", ""))
        if kind == "composite"
        else (),
        branches=compile_expression(expression, table(type)) if expression else (),
    )


def served(name: str, *, odd: Kind, directory: bool = False) -> ServedType:
    parameters = {code: parameter(code, kind) for code, kind in KINDS.items()} | {"odd": parameter("odd", odd)}
    if name == "Media":
        uid = "ImagingStudy.series.uid"
        parameters["uid"] = parameter("uid", "token", type="ImagingStudy", expression=uid)
        parameters["active"] = parameter("active", "token", type="Patient", expression="Patient.active")
        parameters["telecom"] = parameter("telecom", "token", type="Patient", expression="Patient.telecom")
    return ServedType(
        name=name,
        interactions=frozenset({"read", "create", "search-type"}),
        parameters=parameters,
        indexed=parameters,
        directory=directory,
        words=frozenset({"_text", "_content"}),
        membership=(parameters["subject"],),
    )


WORLD = replace(
    load_registry(),
    types={"Media": served("Media", odd="date"), "Patient": served("Patient", odd="string", directory=True)},
)
