"""What is stored is the client's JSON with id and meta set: to the digit, to the character, in its order."""

import json
from decimal import Decimal
from typing import Any

import pytest

from fhirmedia.r4.attachments import find_attachments
from fhirmedia.r4.codec import dump
from fhirmedia.r4.json_types import JsonObject
from tests.access.records import OWNING_UNIT, a
from tests.fhir.generated import generated
from tests.fhir.rest import exact, refusal, without_server_parts
from tests.servers import Served

EXTENSION = "http://example.org/fact"


def _stored(served: Served, text: str, type: str = "Media") -> str:
    """The text of a resource after it was written and read back."""
    headers = served.headers()
    made = served.http.post(f"{served.base}/{type}", content=text.encode(), headers=headers)
    assert made.status_code == 201, made.text
    return served.http.get(f"{served.base}/{type}/{made.json()['id']}", headers=headers).text


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("1.00", "1.00"),
        ("0.10", "0.10"),
        ("-0.0", "-0.0"),
        ("1e2", "1E+2"),
        ("1.50E+3", "1.50E+3"),
        ("1E-7", "1E-7"),
        ("0.00000000000000000000000000001", "1E-29"),
        ("100000000000000000000000.5", "100000000000000000000000.5"),
        ("3.141592653589793238462643383279", "3.141592653589793238462643383279"),
        ("7", "7"),
        ("123456789012345678", "123456789012345678"),
    ],
)
def test_decimals_keep_their_digits(served: Served, sent: str, stored: str) -> None:
    text = json.dumps(a("Media", "-", extension=[{"url": EXTENSION, "valueDecimal": "HERE"}]))
    answer = _stored(served, text.replace('"HERE"', sent))
    assert f'"valueDecimal":{stored}}}' in answer
    assert exact(answer)["extension"][0]["valueDecimal"] == Decimal(sent)


@pytest.mark.parametrize(
    "text",
    [
        "Åsa Öberg-Ærø",
        "\u200b zero width, \u00a0no break",
        "emoji \U0001f9ec and \U0001f468\u200d\U0001f469\u200d\U0001f467",
        'quotes " and \\ and / and <b>&amp;</b>',
        "e\u0301 is not \u00e9",
        "\u2028line\u2029paragraph",
        "日本語 עברית العربية",
        "\ufffd \ufeff \ue000",
    ],
)
def test_text_keeps_its_characters(served: Served, text: str) -> None:
    sent = a("Media", "-", note=[{"text": text}])
    for spelled in (json.dumps(sent), json.dumps(sent, ensure_ascii=False)):
        assert json.loads(_stored(served, spelled))["note"][0]["text"] == text


def test_white_space_and_long_text_stay(served: Served) -> None:
    text = "first\r\n\tsecond\n" + "x" * 100_000
    assert json.loads(_stored(served, json.dumps(a("Media", "-", note=[{"text": text}]))))["note"][0]["text"] == text


def test_members_stay_in_their_order_and_siblings_beside_them(served: Served) -> None:
    unit = {"url": OWNING_UNIT, "valueReference": {"reference": "Organization/derm"}}
    nested = {
        "url": "http://example.org/deep",
        "extension": [{"url": "a", "valueCode": "x"}, {"url": "b", "valueInteger": 0}],
    }
    sent: dict[str, Any] = {
        "resourceType": "Media",
        "note": [{"time": "2020", "_time": {"id": "t", "extension": [nested]}, "text": "n"}],
        "_status": {"extension": [nested]},
        "status": "completed",
        "extension": [nested, unit],
        "subject": {"display": "A", "reference": "Patient/anna", "_display": {"extension": [nested]}},
        "reasonCode": [{"text": "one"}, {"coding": [{"code": "c", "_code": {"extension": [nested]}}]}],
        "_createdDateTime": {"extension": [{"url": "http://example.org/unknown", "valueCode": "masked"}]},
        "content": {"title": "t", "_url": {"extension": [nested]}},
        "contained": [{"resourceType": "Device", "status": "active", "id": "d", "_status": {"id": "s"}}],
        "device": {"reference": "#d"},
    }
    answer = _stored(served, json.dumps(sent))
    body = json.loads(answer)
    assert {name: value for name, value in body.items() if name not in ("id", "meta")} == sent
    assert list(body) == ["resourceType", "id", "meta", *(name for name in sent if name != "resourceType")]


def test_arrays_with_gaps_stay(served: Served) -> None:
    gap = {"extension": [{"url": EXTENSION, "valueCode": "masked"}]}
    sent = {"resourceType": "Patient", "name": [{"given": ["Ida", None, "Lo"], "_given": [None, gap, None]}]}
    assert json.loads(_stored(served, json.dumps(sent), "Patient"))["name"] == sent["name"]


def test_only_version_and_time_of_meta_are_the_servers(served: Served) -> None:
    meta = {
        "versionId": "77",
        "lastUpdated": "1999-01-01T00:00:00Z",
        "source": "urn:x",
        "profile": ["http://example.org/p"],
        "security": [{"system": "http://example.org/s", "code": "a"}],
        "tag": [{"system": "http://example.org/t", "code": "b", "userSelected": True}],
        "extension": [{"url": EXTENSION, "valueString": "kept"}],
    }
    stored = json.loads(_stored(served, json.dumps(a("Patient", "-") | {"meta": meta}), "Patient"))["meta"]
    assert stored.pop("versionId") == "1"
    assert stored.pop("lastUpdated") > "2020"
    assert stored == {name: value for name, value in meta.items() if name not in ("versionId", "lastUpdated")}


def test_what_json_leaves_open_is_refused(served: Served) -> None:
    text = json.dumps(a("Media", "-"))
    for spelled in (
        "\ufeff" + text,
        text.replace('"status"', '"status": "completed", "status"'),
        text[:-1] + ",}",
        "// note\n" + text,
        text.replace('"', "'"),
        text + text,
        f"[{text}]",
    ):
        refusal(served.http.post(f"{served.base}/Media", content=spelled.encode(), headers=served.headers()), 400)


def _has_bytes(resource: JsonObject) -> bool:
    return any("data" in found.node for found in find_attachments(resource, str(resource["resourceType"])))


@pytest.mark.parametrize("type", ["Encounter", "Organization"])
def test_whatever_the_tables_permit_comes_back_equal(served: Served, type: str, full_counts: bool) -> None:
    """But for inline bytes, which become a Binary: made up, they are not of the type and size beside them."""
    headers, seeds = served.importer(), 300 if full_counts else 25
    made_up = [(seed, generated(type, seed)) for seed in range(seeds)]
    tried = [(seed, each) for seed, each in made_up if not _has_bytes(each)]
    assert len(tried) > 0.9 * seeds
    for seed, resource in tried:
        sent = dump(resource)
        made = served.http.post(f"{served.base}/{type}", content=sent, headers=headers)
        assert made.status_code == 201, made.text
        stored = served.http.get(f"{served.base}/{type}/{made.json()['id']}", headers=headers).text
        assert without_server_parts(exact(stored)) == without_server_parts(exact(sent)), seed
