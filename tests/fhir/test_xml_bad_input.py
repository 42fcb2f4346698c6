"""XML that is refused: each with the place and the rule, without a value, in bounded time and memory."""

import time
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirmedia.core.errors import Category, Failure
from fhirmedia.r4.xml_in import ATTRIBUTES_MAX, parse_xml
from tests.fhir.test_xml_codec import document

SECRET = "Tolvan-Tolvansson"
NARRATIVE = "<text><status value='generated'/>{}</text>"


def refused(content: bytes) -> tuple[str | None, str]:
    """Expression and text of the refusal."""
    with pytest.raises(Failure) as caught:
        parse_xml(content)
    assert caught.value.category is Category.INVALID
    (issue,) = caught.value.issues
    assert issue.code in ("structure", "value")
    assert SECRET not in str(caught.value)
    assert SECRET not in issue.text
    return issue.expression, issue.text


@pytest.mark.parametrize(
    "content",
    [
        b'<!DOCTYPE Basic><Basic xmlns="http://hl7.org/fhir"/>',
        b'<!DOCTYPE Basic [<!ENTITY a "Tolvan-Tolvansson">]><Basic xmlns="http://hl7.org/fhir">&a;</Basic>',
        b'<!DOCTYPE Basic SYSTEM "file:///etc/passwd"><Basic xmlns="http://hl7.org/fhir"/>',
        b'<!DOCTYPE a [<!ENTITY % p SYSTEM "http://example.org/x"> %p;]><Basic xmlns="http://hl7.org/fhir"/>',
        b'<!DOCTYPE a [<!ENTITY a "0123456789"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><Basic>&b;</Basic>',
    ],
)
def test_document_types_and_entities(content: bytes) -> None:
    assert "document type" in refused(content)[1]


def test_processing_instructions() -> None:
    for inside in ("<?php echo?>", "<id value='a'/><?xml-stylesheet href='http://example.org/a.xsl'?>"):
        assert "processing instruction" in refused(document(inside))[1]
    assert "processing instruction" in refused(b"<?xml-stylesheet href='a'?>" + document("<id value='a'/>"))[1]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_other_encodings(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?><Basic xmlns="http://hl7.org/fhir"><id value="å"/></Basic>'
    refused(text.encode(encoding))


def test_another_version_of_xml() -> None:
    assert refused(b'<?xml version="1.1"?><Basic xmlns="http://hl7.org/fhir"/>')[1].endswith("XML 1.0")


def test_an_encoding_only_declared() -> None:
    assert refused(b'<?xml version="1.0" encoding="latin1"?>' + document("<id value='a'/>"))[1].endswith("UTF-8")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" ",
        b"{}",
        b"<",
        b'<Basic xmlns="http://hl7.org/fhir">',
        b'<Basic xmlns="http://hl7.org/fhir"><id value="Tolvan-Tolvansson></Basic>',
        b'<Basic xmlns="http://hl7.org/fhir"/><Basic xmlns="http://hl7.org/fhir"/>',
        b'<Basic xmlns="http://hl7.org/fhir"><id value="a" value="b"/></Basic>',
        b'<Basic xmlns="http://hl7.org/fhir"><id value="&nbsp;"/></Basic>',
        b'<Basic xmlns="http://hl7.org/fhir"><id value="&#0;"/></Basic>',
        b'<Basic xmlns="http://hl7.org/fhir"><id value="&#xD800;"/></Basic>',
        b'<Basic xmlns="http://hl7.org/fhir"><id value="\xff"/></Basic>',
        b'<Basic xmlns="http://hl7.org/fhir"><id value="\xed\xa0\x80"/></Basic>',
        b'<Basic xmlns="http://hl7.org/fhir"><id value="\x00"/></Basic>',
        b'<Basic xmlns="http://hl7.org/fhir"><id value="a<b"/></Basic>',
    ],
)
def test_broken_text(content: bytes) -> None:
    expression, text = refused(content)
    assert expression is None
    assert text.startswith("The XML text is broken at line 1")


@pytest.mark.parametrize(
    ("content", "expression"),
    [
        (b"<Basic><id value='a'/></Basic>", None),
        (b"<Basic xmlns='http://hl7.org/FHIR'/>", None),
        (b"<Nothing xmlns='http://hl7.org/fhir'/>", None),
        (b"<DomainResource xmlns='http://hl7.org/fhir'/>", None),
        (b"<id xmlns='http://hl7.org/fhir' value='a'/>", None),
        (document("<id value='a'/>", more=" id='x'"), "Basic"),
        (document("<id xmlns='urn:other' value='a'/>"), "Basic.id"),
        (document("<subject xmlns:h='urn:h'><h:reference value='Tolvan'/></subject>"), "Basic.subject.reference"),
        (document("<birthDate value='Tolvan-Tolvansson'/>"), "Basic.birthDate"),
        (document(f"<{SECRET} value='x'/>"), "Basic"),
        (document("<_id value='x'/>"), "Basic._id"),
        (document("<Media/>"), "Basic.Media"),
        (document("<identifier><url value='x'/></identifier>"), "Basic.identifier[0].url"),
        (document("<id value='a' other='Tolvan-Tolvansson'/>"), "Basic.id"),
        (document("<code value='x'/>"), "Basic.code"),
        (document("<code url='x'/>"), "Basic.code"),
        (document("<code xml:lang='sv'/>"), "Basic.code"),
        (document("<extension url='a'><url value='b'/></extension>"), "Basic.extension[0].url"),
        (document("<id>Tolvan-Tolvansson</id>"), "Basic.id"),
        (document("<code><text value='x'/>Tolvan-Tolvansson</code>"), "Basic.code"),
        (document("<code>\u00a0</code>"), "Basic.code"),
        (document("<code><![CDATA[x]]></code>"), "Basic.code"),
        (document("Tolvan-Tolvansson"), "Basic"),
        (document("<code><text/></code>"), "Basic.code.text"),
        (document("<subject><reference value='a/b'/></subject><code><text value='x'/></code>"), "Basic.code"),
        (document("<code><text value='x'/><coding><code value='x'/></coding></code>"), "Basic.code.coding"),
        (document("<id value='a'/><id value='b'/>"), "Basic.id"),
        (document("<code/><code/>"), "Basic.code"),
        (document("<contained/>"), "Basic.contained[0]"),
        (document("<contained id='a'><Basic/></contained>"), "Basic.contained[0]"),
        (document("<contained><Basic/><Basic/></contained>"), "Basic.contained[0]"),
        (document("<contained><Other/></contained>"), "Basic.contained[0]"),
        (document("<contained><Basic id='x'/></contained>"), "Basic.contained[0]"),
        (document("<contained><Basic xmlns='urn:x'/></contained>"), "Basic.contained[0]"),
        (document("<active value='TRUE'/>", root="Patient"), "Patient.active"),
        (document("<active value=' true'/>", root="Patient"), "Patient.active"),
        (document("<active value=''/>", root="Patient"), "Patient.active"),
        (document("<deceasedBoolean value='1'/>", root="Patient"), "Patient.deceased"),
        (document("<multipleBirthInteger value='1.0'/>", root="Patient"), "Patient.multipleBirth"),
        (document("<multipleBirthInteger value='+1'/>", root="Patient"), "Patient.multipleBirth"),
        (document("<multipleBirthInteger value='1_0'/>", root="Patient"), "Patient.multipleBirth"),
        (document("<multipleBirthInteger value='\u0661'/>", root="Patient"), "Patient.multipleBirth"),
        (document("<duration value='NaN'/>", root="Media"), "Media.duration"),
        (document("<duration value='1e9999999999'/>", root="Media"), "Media.duration"),
        (document("<duration value='" + "1" * 5000 + "'/>", root="Media"), "Media.duration"),
        (document(NARRATIVE.format("<div>x</div>")), "Basic.text.div"),
        (document(NARRATIVE.format("<p xmlns='http://www.w3.org/1999/xhtml'>x</p>")), "Basic.text.p"),
        (document("<div xmlns='http://www.w3.org/1999/xhtml'>x</div>"), "Basic.div"),
    ],
)  # fmt: skip
def test_what_has_no_place(content: bytes, expression: str | None) -> None:
    told, text = refused(content)
    assert told == expression, text
    if expression:
        assert text.startswith(f"{expression} ")


def test_depth_is_bounded() -> None:
    """To the level at which JSON is refused, so that what was stored can be read again."""
    deep = "<extension url='u'>" * 24 + "<valueCode value='c'/>" + "</extension>" * 24
    parse_xml(document(deep))
    deeper = "<extension url='u'>" * 25 + "<valueCode value='c'/>" + "</extension>" * 25
    assert "deeper" in refused(document(deeper))[1]
    refused(b"<a>" * 1_000_000)
    refused(b'<extension xmlns="http://hl7.org/fhir">' * 100_000)
    refused(document("<extension>" * 1_000_000))


def test_attributes_are_bounded_before_they_are_gathered() -> None:
    many = " ".join(f'a{number}=""' for number in range(1_200_000))
    content = document("<id value='a'/>", more=f" {many}")
    assert len(content) > 12_000_000
    tracemalloc.start()
    started = time.process_time()
    told = refused(content)[1]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert told == "An element of the XML text has too many attributes"
    assert peak < 1_000_000
    assert time.process_time() - started < 2


def test_text_that_looks_like_attributes_is_not_taken_for_them() -> None:
    text = "a='b' " * (ATTRIBUTES_MAX - 1) + "x" * 100_000
    assert parse_xml(document(f'<code><text value="{text}"/></code>'))["code"] == {"text": text}


def test_a_long_value_costs_no_more_than_its_length() -> None:
    long = "QUJD" * 3_000_000
    started = time.process_time()
    read = parse_xml(document(f"<contentType value='image/png'/><data value='{long}'/>", root="Binary"))
    assert read["data"] == long
    assert time.process_time() - started < 2


@given(st.binary(max_size=200) | st.text(alphabet="<>/=\"'&; abBasicdivxmlns:!?[]-", max_size=200).map(str.encode))
def test_no_text_gets_more_than_a_refusal(content: bytes) -> None:
    for each in (content, document("").replace(b"><", b">" + content + b"<")):
        with suppress(Failure):
            parse_xml(each)


def test_prefixes_borrowed_by_many_narratives() -> None:
    """What 300 narratives of a body of 90 kB borrow would be a resource of many megabytes."""
    contained = "<contained><Basic>{}</Basic></contained>" * 300
    narrative = NARRATIVE.format("<div xmlns='http://www.w3.org/1999/xhtml'>{}</div>")

    def body(declared: list[str], used: str) -> bytes:
        inside = contained.replace("{}", narrative.format(used))
        return f"<Basic xmlns='http://hl7.org/fhir' {' '.join(declared)}>{inside}</Basic>".encode()

    many = [f"xmlns:p{number}='http://example.org/{number}'" for number in range(40)]
    assert "more than 32 prefixes" in refused(body(many, "p1: p2:"))[1]
    long = [f"xmlns:p{number}='http://example.org/{'x' * 300}'" for number in range(3)]
    assert "namespace of more than 256" in refused(body(long, "p1: p2:"))[1]
    within = [f"xmlns:p{number}='http://example.org/{'x' * 200}{number}'" for number in range(32)]
    started = time.process_time()
    assert "in each of them" in refused(body(within, " ".join(f"p{number}:" for number in range(32))))[1]
    assert time.process_time() - started < 1
    assert parse_xml(body(many[:32], "text"))["contained"] == parse_xml(body([], "text"))["contained"]
