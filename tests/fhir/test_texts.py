"""Which words of a resource are searched: what a person wrote or may read, in the field it belongs to."""

from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.query import Text
from fhirmedia.r4.texts import content_text, narrative_text
from fhirmedia.r4.word_tests import text_matches

MEDIA: JsonObject = {
    "resourceType": "Media",
    "id": "ident",
    "meta": {"tag": [{"system": "urn:tags", "code": "coded", "display": "Tagged"}]},
    "text": {
        "status": "generated",
        "div": '<div xmlns="http://www.w3.org/1999/xhtml"><!-- hidden -->'
        '<p title="attribute">Bj&#246;rk &amp; <b>al</b></p>'
        "</div>",
    },
    "contained": [{"resourceType": "Practitioner", "id": "p", "name": [{"family": "Kontained"}]}],
    "identifier": [{"system": "urn:x", "value": "numbered", "type": {"text": "Record"}}],
    "status": "completed",
    "subject": {"reference": "Patient/referred", "display": "Anna"},
    "operator": {"reference": "#p"},
    "bodySite": {"coding": [{"system": "urn:x", "version": "versioned", "code": "codes", "display": "Skin"}]},
    "content": {"contentType": "image/png", "url": "urn:addressed", "data": "bytes", "title": "Title"},
    "note": [{"text": "first note"}, {"text": "second"}],
}


def found(text: str, *terms: str) -> bool:
    return text_matches(Text("_content", (terms,)), text)


def test_everything_a_person_wrote_is_content() -> None:
    text = content_text(MEDIA, "Media")
    for word in ("tagged", "björk", "bjork", "al", "kontained", "record", "anna", "skin", "title", "first", "second"):
        assert found(text, word), word


def test_nothing_else_is() -> None:
    text = content_text(MEDIA, "Media")
    for word in ("ident", "coded", "hidden", "attribute", "numbered", "completed", "referred", "versioned", "codes",
                 "image", "addressed", "bytes", "generated", "xhtml", "div"):  # fmt: skip
        assert not found(text, word), word


def test_the_narrative_is_its_words() -> None:
    text = narrative_text(MEDIA)
    assert found(text, "bjork al")
    assert not found(text, "skin")
    assert narrative_text({"resourceType": "Media"}) == ""


def test_no_phrase_goes_from_one_value_into_the_next() -> None:
    text = content_text(MEDIA, "Media")
    assert found(text, "first note")
    assert found(text, "note", "second")
    assert not found(text, "note second")
