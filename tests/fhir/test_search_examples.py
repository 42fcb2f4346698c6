"""Every search parameter of every stored type finds the official examples that have a value for it."""

from collections.abc import Iterator, Mapping
from zoneinfo import ZoneInfo

import pytest

from fhirmedia.core.records import Key
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.registry import load_registry
from fhirmedia.r4.values import IndexEntries
from tests.fhir.official import definitions
from tests.fhir.rest import names
from tests.fhir.value_queries import queries
from tests.servers import Served, serving

REGISTRY = load_registry()
TYPES = [name for name, each in REGISTRY.types.items() if {"create", "search-type"} <= each.interactions]
PER_PARAMETER = 3
"""Examples asked for by one parameter."""

Held = Mapping[str, list[IndexEntries]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Held]]:
    """The examples under their own ids, and what extraction makes of each as it is stored."""
    source, held = definitions(), {}
    with serving(tmp_path_factory.mktemp("examples") / "data") as served:
        extractor = Extractor(REGISTRY, base_url=served.base, zone=ZoneInfo("Europe/Stockholm"))
        importer = served.importer()
        for type in TYPES:
            held[type] = []
            for name in source.names(f"{type}-"):
                content = source.content(name)
                key = Key(type, str(parse_json(content)["id"]))
                answer = served.http.put(f"{served.base}/{key}", content=content, headers=importer)
                if answer.status_code != 201:
                    continue
                stored = parse_json(answer.content)
                held[type].append(extractor.entries(stored, key=key, last_updated_ms=0))
        yield served, held


@pytest.mark.parametrize("type", TYPES)
def test_what_an_example_says_finds_it(world: tuple[Served, Held], type: str) -> None:
    served, held = world
    headers, missed = served.headers(), []
    for parameter in REGISTRY.types[type].parameters.values():
        if parameter.code == "_lastUpdated":
            continue
        for entries in [each for each in held[type] if any(queries(parameter, each))][:PER_PARAMETER]:
            asked = dict(list(queries(parameter, entries))[-1:])
            found = served.http.get(
                f"{served.base}/{type}", params=asked | {"_count": "1000", "_elements": "id"}, headers=headers
            )
            if found.status_code != 200 or str(entries.key) not in names(found.json()):
                missed.append((asked, str(entries.key), found.status_code))
    assert missed == []


def test_most_parameters_are_shown_by_an_example(world: tuple[Served, Held]) -> None:
    _, held = world
    shown = {
        (type, parameter.code)
        for type, examples in held.items()
        for parameter in REGISTRY.types[type].parameters.values()
        if any(any(queries(parameter, entries)) for entries in examples)
    }
    known = {(type, code) for type in TYPES for code in REGISTRY.types[type].parameters}
    assert sum(len(each) for each in held.values()) > 240
    assert len(shown) > 0.6 * len(known), sorted(known - shown)
