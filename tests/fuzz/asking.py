"""Requests made up from the OpenAPI document, by kind of call: address and method, whatever the type."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case

KNOWN_SHARE, HIDDEN_SHARE = 0.7, 0.15
"""How often an id in an address is one that is there, and one of what is hidden."""


VALUES = (
    "2026", "ge2026-01", "lt2026-02-30", "completed", "anna", "Patient/anna", "Nonsense/x", "x", "", " ", "urn:x|y",
    "|",
    "1", "-1", "0", "1e400", "9" * 40, "é", "a,b", "a\\,b", "\\", "*", "%", "\x00", "true", "null", "_id",
    "-_lastUpdated",
    "Media:subject", "Patient?name=x", "' OR 1=1 --", "../x", "eq", "[1,2]", "$", "🐙", "a" * 3000,
)  # fmt: skip
"""What stands in searches beside what the document describes."""


@dataclass(frozen=True, slots=True)
class Share:
    """How many requests a kind of call gets; those with resources or dozens of parameters are costly to make up."""

    plain: int
    costly: int
    searches: int


def kinds_of_calls(document: Mapping[str, Any]) -> dict[str, list[Any]]:
    """`GET /{type}/{id}` and so on, with the operations that are of this kind."""
    schema = schemathesis.openapi.from_dict(dict(document))
    types = {path.split("/")[1] for path in document["paths"] if re.match(r"/[A-Z]", path)}
    kinds: dict[str, list[Any]] = defaultdict(list)
    for found in schema.get_all_operations():
        operation = found.ok()
        path = "/".join("{type}" if part in types else part for part in operation.path.split("/"))
        kinds[f"{operation.method.upper()} {path}"].append(operation)
    return kinds


def cases(operation: Any, count: int, *, turn: int) -> Iterator[Case]:
    """Up to so many requests of one operation; the same turn makes the same ones."""
    made: list[Case] = []

    @seed(turn)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy())
    def collect(case: Case) -> None:
        made.append(case)

    collect()
    yield from made


def searches(operation: Any, count: int, chance: Random) -> Iterator[Case]:
    """Requests with some of the operation's parameters, and values of any kind."""
    names = [parameter.name for parameter in operation.query]
    for _number in range(count):
        chosen = chance.sample(names, k=min(len(names), chance.randint(1, 3)))
        query = {name: chance.choice(VALUES) for name in chosen}
        yield operation.Case(method=operation.method, query=query, path_parameters={}, headers={})


def aimed(
    case: Case, chance: Random, *, there: Mapping[str, Sequence[str]], hidden: Mapping[str, Sequence[str]]
) -> Case:
    """The case with an address that leads to something, often enough."""
    found = re.match(r"/([A-Z]\w+)/\{id\}", case.operation.path)
    if found is None:
        return case
    ids = {**(case.path_parameters or {})}
    dice = chance.random()
    if dice < KNOWN_SHARE and there.get(found[1]):
        ids["id"] = chance.choice(there[found[1]])
    elif dice < KNOWN_SHARE + HIDDEN_SHARE and hidden.get(found[1]):
        ids["id"] = chance.choice(hidden[found[1]])
    if "version" in ids and chance.random() < KNOWN_SHARE:
        ids["version"] = "1"
    case.path_parameters = ids
    return case
