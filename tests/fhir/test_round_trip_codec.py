"""Every official example: parse, prepare, render, parse gives the same members in the same order, to the digit."""

from decimal import Decimal

import pytest

from fhirmedia.r4.codec import dump, load, prepare
from fhirmedia.r4.elements import resource_types
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.json_types import Json, JsonObject
from tests.fhir.generated import generated
from tests.fhir.official import definitions, examples


def exactly(value: Json) -> object:
    """A value that is equal only to what has the same types, digits and order."""
    if isinstance(value, dict):
        return ("object", [(name, exactly(one)) for name, one in value.items()])
    if isinstance(value, list):
        return ("array", [exactly(one) for one in value])
    if isinstance(value, Decimal):
        return ("decimal", value.as_tuple())
    return (type(value).__name__, value)


def stored(resource: JsonObject) -> JsonObject:
    """What storing as `new`, version 3, at one second past the epoch makes of a resource."""
    meta = resource.get("meta", {})
    assert isinstance(meta, dict)
    kept = {name: one for name, one in meta.items() if name.lstrip("_") not in {"versionId", "lastUpdated"}}
    return {
        "resourceType": resource["resourceType"],
        "id": "new",
        "meta": {"versionId": "3", "lastUpdated": "1970-01-01T00:00:01.000Z", **kept},
        **{name: one for name, one in resource.items() if name not in {"resourceType", "id", "meta"}},
    }


@pytest.mark.parametrize("every", [25, pytest.param(1, marks=pytest.mark.long)])
def test_official_examples_survive(every: int) -> None:
    count = 0
    for name, content in examples(definitions(), every=every):
        resource = parse_json(content)
        body = prepare(resource).render("new", 3, 1000)
        assert exactly(parse_json(body)) == exactly(load(body)) == exactly(stored(resource)), name
        assert parse_json(dump(resource)) == resource, name
        count += 1
    assert count > 700


def test_generated_resources_survive() -> None:
    for number, name in enumerate(sorted(resource_types())):
        resource = generated(name, number)
        body = prepare(resource).render("new", 3, 1000)
        assert exactly(parse_json(body)) == exactly(load(body)) == exactly(stored(resource))


@pytest.mark.parametrize(
    "text", ["1.00", "0.10", "-0.0", "1E+400", "1.5E-7", "123456789012345678901234567890", "-5", "0"]
)
def test_a_stored_number_is_read_as_it_came_in(text: str) -> None:
    body = b'{"n":%b}' % text.encode()
    assert exactly(load(body)) == exactly(parse_json(body))


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b'{"a":', b'{"a":1}{', b'{"a":NaN}', b'{"a":"\xff"}'])
def test_a_spoilt_body_is_not_read(body: bytes) -> None:
    with pytest.raises(ValueError):
        load(body)


def test_the_digits_are_the_same_in_the_text() -> None:
    text = (
        b'{"resourceType":"Media","duration":1.00,"extension":[{"url":"u","valueDecimal":0.10}],"meta":{"source":"s"}}'
    )
    body = prepare(parse_json(text)).render("a", 1, 1700000000123)
    assert body == (
        b'{"resourceType":"Media","id":"a","meta":{"versionId":"1","lastUpdated":"2023-11-14T22:13:20.123Z",'
        b'"source":"s"},"duration":1.00,"extension":[{"url":"u","valueDecimal":0.10}]}'
    )


def test_what_the_client_says_of_version_and_time_is_not_kept() -> None:
    resource = parse_json(
        b'{"id":"x","resourceType":"Basic","meta":{"versionId":"77","_versionId":{"id":"v"},"lastUpdated":"1999",'
        b'"_lastUpdated":{"id":"v"},"id":"m","tag":[{"code":"t"}]}}'
    )
    rendered = parse_json(prepare(resource).render("b", 2, 0))
    assert rendered == {
        "resourceType": "Basic",
        "id": "b",
        "meta": {"versionId": "2", "lastUpdated": "1970-01-01T00:00:00.000Z", "id": "m", "tag": [{"code": "t"}]},
    }


def test_an_unchecked_resource_is_not_prepared() -> None:
    with pytest.raises(TypeError):
        prepare({"resourceType": "Basic", "meta": []})
    with pytest.raises(KeyError):
        prepare({"id": "x"})
