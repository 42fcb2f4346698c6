"""JSON to XML and back is the same resource, to the digit; what XML has beyond that is read as the standard says."""

from decimal import Decimal
from xml.parsers import expat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirmedia.r4.codec import dump
from fhirmedia.r4.elements import resource_types
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.json_types import Json, JsonObject
from fhirmedia.r4.xml_in import parse_xml
from fhirmedia.r4.xml_out import to_xml
from tests.fhir.generated import generated
from tests.fhir.official import definitions, examples

DIV = '<div xmlns="http://www.w3.org/1999/xhtml">'
XML_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1)


def same(value: Json) -> object:
    """A value equal to what means the same in JSON and XML: digits and JSON types count, order of members does not.

    What XML cannot tell apart is made alike: an array of nulls beside extensions is the absence of values, and blanks
    around a narrative and its line breaks are those of XML.
    """
    if isinstance(value, dict):
        kept = {name: one for name, one in value.items() if not (isinstance(one, list) and not any(map(_is, one)))}
        return {name: _div(one) if name == "div" else same(one) for name, one in kept.items()}
    if isinstance(value, list):
        return [same(one) for one in value]
    return (type(value).__name__, str(value))


def _is(value: Json) -> bool:
    return value is not None


def _div(value: Json) -> object:
    return str(value).strip().replace("\r\n", "\n").replace("\r", "\n")


def document(inside: str, *, root: str = "Basic", more: str = "") -> bytes:
    """A resource with these children."""
    return f'<{root} xmlns="http://hl7.org/fhir"{more}>{inside}</{root}>'.encode()


@pytest.mark.parametrize("every", [25, pytest.param(1, marks=pytest.mark.long)])
def test_official_examples_survive(every: int) -> None:
    count = 0
    for name, content in examples(definitions(), every=every):
        resource = parse_json(content)
        assert same(parse_xml(to_xml(resource))) == same(resource), name
        assert same(parse_xml(to_xml(resource, pretty=True))) == same(resource), name
        count += 1
    assert count > 700


def test_generated_resources_survive() -> None:
    for number, name in enumerate(sorted(resource_types())):
        resource = generated(name, number)
        assert same(parse_xml(to_xml(resource))) == same(resource), name


def test_resources_in_resources_survive() -> None:
    inner = generated("Media", 1)
    outcome = generated("OperationOutcome", 2)
    bundle: JsonObject = {
        "resourceType": "Bundle",
        "type": "batch-response",
        "entry": [{"resource": inner, "response": {"status": "200", "outcome": outcome}}, {"resource": outcome}],
    }
    parameters: JsonObject = {
        "resourceType": "Parameters",
        "parameter": [{"name": "a", "part": [{"name": "b", "resource": bundle}]}, {"name": "c", "valueBoolean": False}],
    }
    holder: JsonObject = {"resourceType": "Basic", "contained": [inner, generated("Patient", 3)], "code": {"text": "x"}}
    for each in (bundle, parameters, holder):
        assert same(parse_xml(to_xml(each))) == same(each)


@given(XML_TEXT.map(lambda text: text + "\t\n\r <&>\"'"), st.decimals(allow_nan=False, allow_infinity=False))
def test_text_and_digits_survive(text: str, number: Decimal) -> None:
    resource: JsonObject = {
        "resourceType": "Basic",
        "extension": [{"url": "u", "valueString": text}, {"url": "v", "valueDecimal": as_json(number)}],
        "code": {"text": text, "_text": {"id": "a<b"}},
    }
    assert same(parse_xml(to_xml(resource))) == same(resource)
    elsewhere = to_xml(resource, pretty=True).replace(b"\n", b"\r\n")
    assert same(parse_xml(elsewhere)) == same(resource)


def as_json(number: Decimal) -> Json:
    """The number as JSON text gives it back: whole where it is written so."""
    return parse_json(dump({"it": number}))["it"]


def test_the_document_is_what_the_standard_shows() -> None:
    resource = parse_json(
        b'{"resourceType":"Patient","active":true,"id":"a","text":{"div":"<div xmlns=\\"http://www.w3.org/1999/xhtml\\">'
        b'<p>\\u00e5&#160;</p></div>","status":"generated"},"birthDate":"1970","_birthDate":{"id":"b","extension":['
        b'{"url":"u","valueCode":"c"}]},"name":[{"id":"n","given":["A",null],"_given":[null,{"extension":[{"url":"u",'
        b'"valueDecimal":1.00}]}]}],"photo":[{"data":"QUJD\\nREVG"}]}'
    )
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><Patient xmlns="http://hl7.org/fhir"><id value="a"/><text>'
        '<status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml"><p>å&#160;</p></div></text>'
        '<active value="true"/><name id="n"><given value="A"/><given><extension url="u"><valueDecimal value="1.00"/>'
        '</extension></given></name><birthDate value="1970" id="b"><extension url="u"><valueCode value="c"/>'
        '</extension></birthDate><photo><data value="QUJD&#10;REVG"/></photo></Patient>'
    )
    assert to_xml(resource).decode() == text
    assert same(parse_xml(text.encode())) == same(resource)
    assert b"\n    <given>\n      <extension" in to_xml(resource, pretty=True)
    expat.ParserCreate().Parse(to_xml(resource, pretty=True), True)


def test_a_repeated_primitive_gets_its_nulls() -> None:
    extended = '<given value="{}"><extension url="u"><valueCode value="c"/></extension></given>'
    plain = '<given value="p"/>'
    extension: JsonObject = {"extension": [{"url": "u", "valueCode": "c"}]}
    read = parse_xml(document(f"<name>{plain}{extended.format('x')}{plain}</name>", root="Patient"))
    assert read["name"] == [{"given": ["p", "x", "p"], "_given": [None, extension, None]}]
    bare = extended.replace(' value="{}"', "")
    assert parse_xml(document(f"<name>{bare}</name>", root="Patient"))["name"] == [{"_given": [extension]}]


def test_what_xml_lets_a_writer_choose() -> None:
    """Prefixes, comments, CDATA in a narrative, a byte order mark, single quotes, character references."""
    inside = "<id value='a'/><!-- a remark --><code><text value='&#x41;&amp;&#10;'/></code>"
    expected = {"resourceType": "Basic", "id": "a", "code": {"text": "A&\n"}}
    assert parse_xml(document(inside)) == expected
    assert parse_xml(b"\xef\xbb\xbf" + document(inside)) == expected
    assert parse_xml(b"<?xml version='1.0' encoding='utf-8' standalone='yes'?>\n" + document(inside)) == expected
    prefixed = inside.replace("<code", "<f:code").replace("</code", "</f:code").replace("<text", "<f:text")
    prefixed = prefixed.replace("<id", "<f:id")
    assert parse_xml(f"<f:Basic xmlns:f='http://hl7.org/fhir'>{prefixed}</f:Basic>".encode()) == expected
    location = ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://hl7.org/fhir a.xsd"'
    assert parse_xml(document(inside, more=location)) == expected


@pytest.mark.parametrize(
    ("root", "div", "expected"),
    [
        ("", DIV + "<p>å</p>\r\n</div>", DIV + "<p>å</p>\n</div>"),
        (' xmlns:h="http://www.w3.org/1999/xhtml"', "<h:div><h:p>x</h:p></h:div>", None),
        (' xmlns:h="http://www.w3.org/1999/xhtml"', '<h:div title="a>b"><h:p>x</h:p></h:div>', None),
        (' xmlns:h="urn:else"', DIV.replace(">", ' title="a>b">') + "<p>x</p></div>", "as it is"),
    ],
)
def test_narratives_keep_their_text(root: str, div: str, expected: str | None) -> None:
    inside = f'<text><status value="generated"/>{div}</text><code><text value="x"/></code>'
    narrative = parse_xml(document(inside, more=root))["text"]
    assert isinstance(narrative, dict)
    read = str(narrative["div"])
    if expected is None:
        expected = div.replace("<h:div", '<h:div xmlns:h="http://www.w3.org/1999/xhtml"')
    assert read == (div if expected == "as it is" else expected)
    expat.ParserCreate(namespace_separator=" ").Parse(read, True)


def test_a_default_namespace_from_outside_is_written_into_the_narrative() -> None:
    text = (
        '<f:Basic xmlns:f="http://hl7.org/fhir" xmlns="http://www.w3.org/1999/xhtml"><f:text><f:status '
        'value="generated"/><div id="d"><p>x</p></div></f:text></f:Basic>'
    )
    narrative = parse_xml(text.encode())["text"]
    assert isinstance(narrative, dict)
    assert narrative["div"] == DIV[:-1] + ' id="d"><p>x</p></div>'


def test_only_a_resource_is_written() -> None:
    for wrong in ({"id": "x"}, {"resourceType": "Basic", "code": "x"}, {"resourceType": "Basic", "contained": [1]}):
        with pytest.raises(TypeError):
            to_xml(wrong)  # type: ignore[arg-type]  # that is the point
    for wrong in ({"resourceType": "Nothing"}, {"resourceType": "Basic", "nothing": 1}):
        with pytest.raises(LookupError):
            to_xml(wrong)  # type: ignore[arg-type]  # that is the point
