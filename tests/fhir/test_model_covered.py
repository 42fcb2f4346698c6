"""Types that need no second opinion: their model asks for nothing that the element tables do not ask for.

Shown in three ways. The model and the table of every such type are walked side by side: no name, list, datatype or
minimum is stricter in the model. What the tables accept as a primitive, the model's datatype accepts. And resources
spoilt anywhere, official ones and generated ones, are never sound to the checker and unsound to the model.
"""

import json
import random
import re
import typing
from collections.abc import Callable, Iterator
from copy import deepcopy
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given
from hypothesis import strategies as st

from fhirmedia.r4.checker import check
from fhirmedia.r4.elements import Element, ElementTable, element_table, table
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.json_types import Json, JsonObject
from fhirmedia.r4.model import check_model, covered_types, needs_model
from fhirmedia.r4.primitives import TESTS
from fhirmedia.r4.profiles_path import profiles
from tests.fhir.generated import generated
from tests.fhir.official import definitions, examples

COVERED = sorted(covered_types())
SPOILT_EACH = 6
"""How often every official example is spoilt."""

NEAR: list[Json] = [
    "x", "2020", "2020-02", "2020-02-30", "2020-02-29", "2020-02-29T23:59:60Z", "0001-01-01",
    "9999-12-31T00:00:00-14:00", "12:00:00.1", "a b", "urn:oid:1.2", "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0",
    "http://[::1]/x?a#b", "#x", "Patient/p", "Kari ", " ", "a\u00a0b", "\u2028a", "QQ==", "Q Q = =", "a.b-C", "é", "😀",
    "x" * 2000, True, False, 0, 1, -1, 2**31 - 1, -(2**31),
    Decimal("1.50"), Decimal("1E+5"), Decimal("-0.0"), Decimal("1E-300"),
]  # fmt: skip
"""Values that many a primitive type takes and others do not."""

R4_ALONE: dict[str, Callable[[str], bool]] = {
    "string": str.isspace,
    "markdown": str.isspace,
    "uuid": lambda value: value[23] != "4" or value[28] not in "89ab",
}
"""What R4 permits and the model refuses, so that nothing is lost without it: white space beyond ASCII alone, and UUIDs
that are not random ones (RFC 9562, version 4)."""


def excused() -> tuple[re.Pattern[str], ...]:
    """Names R4 has and R4B has not: what the model says about them is never told."""
    facts = json.loads(profiles().joinpath("r4", "model-exceptions.json").read_text("utf-8"))
    return tuple(re.compile(row["name"]) for row in facts["errors"] if row["error"] == "extra_forbidden")


class Shape(typing.NamedTuple):
    """What a model asks of one JSON name, and the model inside it or None."""

    kind: str
    is_list: bool
    is_required: bool
    inside: Any


@cache
def shapes(model: Any) -> dict[str, Shape]:
    """Each JSON name of a model with its shape."""
    required = {name for name, _ in model.model_construct().get_required_fields()}
    found = {}
    for name, field in model.model_fields.items():
        extra = field.json_schema_extra or {}
        demanded = field.is_required() or name in required or extra.get("one_of_many_required", False)
        kind, is_list, inside = unwrapped(field.annotation, field.metadata)
        found[field.alias or name] = Shape(kind, is_list, bool(demanded), inside)
    return found


def unwrapped(annotation: Any, marks: list[Any]) -> tuple[str, bool, Any]:
    """The datatype behind `Optional[List[Annotated[…]]]`, whether there is a list, and its model if it is complex."""
    is_list = False
    while typing.get_args(annotation):
        if hasattr(annotation, "__metadata__"):
            marks, annotation = list(annotation.__metadata__), annotation.__origin__
            continue
        is_list = is_list or typing.get_origin(annotation) is list
        annotation = next(inner for inner in typing.get_args(annotation) if inner is not type(None))
    if hasattr(annotation, "get_model_klass"):
        return annotation.__name__.removesuffix("Type"), is_list, annotation.get_model_klass()
    return (type(marks[0]).__name__ if marks else annotation.__name__), is_list, None


PRIMITIVES = {"base64Binary": "EncodedBytes", "boolean": "bool", "uuid": "UuidVersion"}
"""Datatypes by other names in the model; the rest have R4's, capitalised."""


def stricter(model: Any, owner: ElementTable, seen: set[ElementTable]) -> Iterator[str]:
    """Where the model asks for something, or knows less, than the table and all that lies inside."""
    if owner in seen:
        return
    seen.add(owner)
    known = shapes(model)
    for element in owner.elements.values():
        where, shape = f"{owner.type}.{element.name}", known.get(element.name)
        if shape is None:
            yield f"{where}: not in the model"
            continue
        if shape.is_list != element.is_array:
            yield f"{where}: an array to one, not to the other"
        if shape.is_required and not element.min:
            yield f"{where}: required by the model"
        if shape.kind != kind_of(element) and element.children is None:
            yield f"{where}: a {shape.kind} to the model"
        if may_be_extended(element) and f"_{element.name}" not in known:
            yield f"{where}: not to be extended in the model"
        inner = element_table(element)
        if inner is not None and shape.inside is None:
            yield f"{where}: a primitive to the model"
        elif inner is not None:
            yield from stricter(shape.inside, inner, seen)
    yield from unheard_of(known, owner)


def kind_of(element: Element) -> str:
    """The datatype of an element by the model's name for it."""
    kind = element.types[0]
    return PRIMITIVES.get(kind, kind[0].upper() + kind[1:]) if kind in TESTS else kind


def may_be_extended(element: Element) -> bool:
    """Whether `_name` may stand beside it: a primitive that is no attribute in XML."""
    return element.types[0] in TESTS.keys() - {"xhtml"} and element.name != "id" and element.path != "Extension.url"


def unheard_of(known: dict[str, Shape], owner: ElementTable) -> Iterator[str]:
    """What the model requires without the table knowing its name; of a mandatory choice any name would do."""
    choices = tuple(element.choice_base for element in owner.elements.values() if element.min and element.choice_base)
    for name, shape in known.items():
        if shape.is_required and name not in owner.elements and not name.startswith(choices or ("?",)):
            yield f"{owner.type}.{name}: required by the model, unknown to the table"


def unexcused(model: Any, owner: ElementTable) -> list[str]:
    patterns = excused()
    found = []
    for difference in stricter(model, owner, set()):
        name, _, what = difference.partition(": ")
        leaf = name.rpartition(".")[2]
        leaf = f"_{leaf}" if what.startswith("not to be extended") else leaf
        if not (what.startswith("not ") and any(pattern.fullmatch(leaf) for pattern in patterns)):
            found.append(difference)
    return found


@pytest.mark.parametrize("type", COVERED)
def test_a_model_asks_for_nothing_the_tables_do_not_ask_for(type: str) -> None:
    assert unexcused(get_fhir_model_class(type), table(type)) == []


def test_a_model_that_asks_for_more_is_seen() -> None:
    found = unexcused(get_fhir_model_class("Media"), table("DocumentReference"))
    assert "DocumentReference.content: an array to one, not to the other" in found
    assert "DocumentReference.author: not in the model" in found
    found = unexcused(get_fhir_model_class("Coding"), table("Identifier"))
    assert "Identifier.value: not in the model" in found
    found = unexcused(get_fhir_model_class("Narrative"), table("Attachment"))
    assert "Attachment.div: required by the model, unknown to the table" in found


def extended(kind: str, value: Json) -> JsonObject:
    """A resource with this value in an open choice."""
    name = f"value{kind[0].upper()}{kind[1:]}"
    return {"resourceType": "Basic", "code": {"text": "x"}, "extension": [{"url": "u", name: value}]}


@pytest.mark.parametrize("kind", sorted(TESTS.keys() - {"xhtml"}))
def test_what_the_tables_take_for_a_primitive_the_model_takes(kind: str) -> None:
    chance = random.Random(kind)
    seeds = [value for value in NEAR if TESTS[kind](value) is None]
    taken = 0
    for number in range(len(seeds) + 300):
        value = seeds[number] if number < len(seeds) else altered(chance, chance.choice(seeds))
        if TESTS[kind](value) is None and not (kind in R4_ALONE and R4_ALONE[kind](str(value))):
            taken += 1
            assert check_model(extended(kind, value), type="Basic") == [], repr(value)
    assert taken > 1


def altered(chance: random.Random, value: Json) -> Json:
    """A value much like this one."""
    if type(value) is int:
        return value + chance.choice((-1, 1, 10, 2**20))
    if isinstance(value, Decimal):
        return Decimal(value * chance.choice((Decimal(10), Decimal("-0.1"), Decimal("1E+9"))) + chance.randint(0, 9))
    if type(value) is str:
        at = chance.randrange(len(value) + 1)
        put: str = chance.choice([*"0129:.-+TZ/#?aé=\t\n ", "_\u00a0"])
        return value[:at] + put + value[at + chance.randint(0, 1) :]
    return value


def places(value: Json) -> Iterator[tuple[Any, str | int]]:
    """Every container, and the name or index of one of its values."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in members:
        if name != "resourceType":
            yield value, name
            yield from places(inner)


def spoil(resource: JsonObject, chance: random.Random) -> None:
    """Change one place, often to something else that might be sound."""
    everywhere = list(places(resource))
    if not everywhere:
        return
    container, name = chance.choice(everywhere)
    value = container[name]
    match chance.randrange(8):
        case 0:
            del container[name]
        case 1:
            container[name] = chance.choice([None, [], {}, [None], [value], {"extension": [{"url": "u"}]}])
        case 2 if isinstance(value, list) and value:
            container[name] = [*value, chance.choice(value)]
        case 3 if isinstance(value, list) and value:
            container[name] = value[0]
        case 4 if isinstance(container, dict):
            other, other_name = chance.choice(everywhere)
            container[str(other_name)] = deepcopy(other[other_name])
        case 5 if isinstance(container, dict) and isinstance(name, str):
            container.pop(name)
            container["_" + name.lstrip("_")] = {"extension": [{"url": "u", "valueCode": "x"}]}
        case 6 if not isinstance(value, dict | list):
            container[name] = altered(chance, value)
        case _:
            container[name] = chance.choice(NEAR)


def judge(resource: JsonObject, type: str, chance: random.Random) -> bool:
    """Spoil it and ask both; True if the checker let it through."""
    spoil(resource, chance)
    if check(resource, type=type):
        return False
    assert not needs_model(resource, type=type) or "contained" in resource
    assert check_model(resource, type=type) == []
    return True


def test_a_spoilt_official_example_is_not_sound_to_the_checker_alone() -> None:
    let_through = judged = 0
    for name, content in examples(definitions(), every=25):
        resource = parse_json(content)
        type = str(resource["resourceType"])
        if type not in COVERED:
            continue
        chance = random.Random(name)
        for _ in range(SPOILT_EACH):
            judged += 1
            let_through += judge(deepcopy(resource), type, chance)
    assert judged > 500
    assert let_through > judged / 20


@given(type=st.sampled_from(COVERED), seed=st.integers(0, 10**6))
def test_a_spoilt_generated_resource_is_not_sound_to_the_checker_alone(type: str, seed: int) -> None:
    judge(generated(type, seed), type, random.Random(seed))


@pytest.mark.parametrize(
    ("type", "contained", "expected"),
    [
        pytest.param("Media", None, False, id="covered"),
        pytest.param("Media", "Device", False, id="covered, contains what is covered"),
        pytest.param("Media", "Medication", True, id="covered, contains what is not"),
        pytest.param("Media", "Evidence", False, id="covered, contains what has no model"),
        pytest.param("Medication", None, True, id="not covered"),
        pytest.param("Evidence", None, False, id="without a model"),
    ],
)
def test_what_is_not_covered_gets_its_second_opinion(type: str, contained: str | None, *, expected: bool) -> None:
    resource: JsonObject = {"resourceType": type}
    if contained is not None:
        resource["contained"] = [{"resourceType": contained, "id": "c"}]
    assert needs_model(resource, type=type) is expected
