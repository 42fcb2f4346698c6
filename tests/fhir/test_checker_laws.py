"""Laws of the checker: a sound resource spoilt anywhere is found out, a sound one never, and time stays bounded."""

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirmedia.r4.checker import check
from fhirmedia.r4.elements import resource_types
from fhirmedia.r4.json_types import Json, JsonObject
from fhirmedia.r4.model import check_model
from tests.fhir.generated import generated
from tests.fhir.samples import TYPES, sample

EVERY_TYPE = sorted(resource_types())


def places(value: Json) -> Iterator[tuple[Any, str | int]]:
    """Every container and the name or index of one of its values, but for types and what extends an array."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in members:
        if name == "resourceType" or inner is None or (isinstance(name, str) and name[:1] == "_"):
            continue
        yield value, name
        yield from places(inner)


def spoilt(value: Json, way: int) -> Json:
    """A value that cannot stand where `value` stands: of another type, empty, null, or in an array too many."""
    others: list[Json] = [None, [], {}]
    if isinstance(value, list):
        others += ["text", value[0], [value]]
    elif isinstance(value, dict):
        others += ["text", [value], True, {**value, "unknownElement": 1}, {**value, "Kari Nordmann": 1}]
    elif isinstance(value, str):
        others += ["", 5, True, [value], value + "\x01", value + "\ud800", value + "\x00"]
    elif isinstance(value, bool):
        others += ["true", 1, 0, [value]]
    else:
        others += ["1", True, [value], Decimal("NaN")]
    return others[way % len(others)]


@given(type=st.sampled_from(TYPES), place=st.integers(0, 10**6), way=st.integers(0, 10**6))
def test_a_sample_spoilt_anywhere_is_found_out(type: str, place: int, way: int) -> None:
    check_spoilt(sample(type), type, place, way)


@given(
    type=st.sampled_from(EVERY_TYPE), seed=st.integers(0, 10**6), place=st.integers(0, 10**6), way=st.integers(0, 99)
)
def test_a_generated_resource_spoilt_anywhere_is_found_out(type: str, seed: int, place: int, way: int) -> None:
    check_spoilt(generated(type, seed), type, place, way)


def check_spoilt(resource: JsonObject, type: str, place: int, way: int) -> None:
    everywhere = list(places(resource))
    if not everywhere:
        return
    container, name = everywhere[place % len(everywhere)]
    container[name] = spoilt(container[name], way)
    issues = check(resource, type=type)
    assert issues
    for issue in issues:
        assert issue.expression is not None
        assert issue.expression.split(".")[0] == type
        assert "Kari" not in issue.text + issue.expression


@given(type=st.sampled_from(EVERY_TYPE), seed=st.integers(0, 10**6))
def test_what_the_tables_permit_is_sound_to_checker_and_model(type: str, seed: int) -> None:
    resource = generated(type, seed)
    assert check(resource, type=type) == []
    assert check_model(resource, type=type) == []


@given(
    type=st.sampled_from(EVERY_TYPE),
    members=st.dictionaries(
        st.sampled_from(["id", "meta", "text", "contained", "extension", "_language", "status", "identifier", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["resourceType", "url", "valueCode", "div", "id", "coding", "_x"]),
                    inner,
                    max_size=3,
                )
            ),
            max_leaves=10,
        ),
    ),
)
def test_nonsense_is_no_exception(type: str, members: dict[str, Any]) -> None:
    check({"resourceType": type, **members}, type=type)


MILLION = 1_000_000


@pytest.mark.parametrize(
    ("where", "value"),
    [
        pytest.param("code", "a " * MILLION, id="code of words"),
        pytest.param("code", "a" * MILLION + " ", id="code with a blank at its end"),
        pytest.param("code", " " * MILLION, id="code of blanks"),
        pytest.param("uri", "urn:oid:" + "1." * MILLION, id="OID without end"),
        pytest.param("oid", "urn:oid:1" + ".0" * MILLION + ".", id="OID with a dot at its end"),
        pytest.param("base64Binary", "QUJD " * MILLION + "!", id="base64 that breaks at its end"),
        pytest.param("base64Binary", "=" * MILLION, id="padding"),
        pytest.param("base64Binary", " " * MILLION, id="blanks for base64"),
        pytest.param("dateTime", "2020-01-01T00:00:00." + "0" * MILLION + "Z", id="fraction without end"),
        pytest.param("date", "2" * MILLION, id="year without end"),
        pytest.param("decimal", Decimal("0." + "1" * MILLION), id="decimal without end"),
        pytest.param("integer", 10**4000, id="integer without end"),
        pytest.param("string", "\u2028" * MILLION + "\x00", id="string that breaks at its end"),
        pytest.param("id", "a" * MILLION, id="id without end"),
        pytest.param("canonical", "a|" * MILLION, id="canonical without end"),
    ],
)
def test_time_stays_bounded(where: str, value: Json) -> None:
    resource: JsonObject = {
        "resourceType": "Basic",
        "code": {"text": "x"},
        "extension": [{"url": "u", f"value{where[0].upper()}{where[1:]}": value}],
    }
    begun = time.process_time()
    check(resource, type="Basic")
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    "content_type",
    ["a/b" + "; x" * 5000, "a/b" + " ;" * 5000, "a/b; " + "x;" * 100_000, "a" * MILLION, "a/" * MILLION, "a/b " * 5000],
)
def test_time_of_a_content_type_stays_bounded(content_type: str) -> None:
    begun = time.process_time()
    check({"resourceType": "Binary", "contentType": content_type}, type="Binary")
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    "inside",
    [
        "<p " + " ".join(f'a{n}="x"' for n in range(100_000)) + ">x</p>",
        f'<p style="{"url(" * 300_000}">x</p>',
        f'<p style="{"url(data:image/png;base64," * 50_000}">x</p>',
        f'<a href="{"a" * MILLION}:">x</a>',
        f'<img src="data:image/png;base64,{"A" * MILLION}!"/>',
        "<b>x</b>" * 100_000,
        "&#32;" * 300_000,
    ],
    ids=["attributes", "style", "style of pictures", "scheme", "picture", "elements", "references"],
)
def test_time_of_a_narrative_stays_bounded(inside: str) -> None:
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{inside}</div>'
    begun = time.process_time()
    check({"resourceType": "Basic", "code": {"text": "x"}, "text": {"status": "generated", "div": div}}, type="Basic")
    assert time.process_time() - begun < 2
