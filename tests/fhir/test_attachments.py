"""Attachments are found wherever R4 lets them be, with a path a person can follow and the node itself."""

import pytest

from fhirmedia.r4.attachments import find_attachments, local_binary_id
from fhirmedia.r4.json_types import JsonObject
from tests.fhir.samples import TYPES, sample


def found(resource: JsonObject) -> list[str]:
    return [one.path for one in find_attachments(resource, str(resource["resourceType"]))]


@pytest.mark.parametrize(
    ("type", "paths"),
    [
        ("Media", ["Media.content"]),
        ("DocumentReference", ["DocumentReference.content[0].attachment"]),
        ("DiagnosticReport", ["DiagnosticReport.presentedForm[0]"]),
        ("Practitioner", ["Practitioner.photo[0]"]),
        ("Patient", []),
        ("Binary", []),
    ],
)
def test_finds_an_attachment_in_its_place(type: str, paths: list[str]) -> None:
    assert found(sample(type)) == paths


def test_finds_attachments_in_extensions_and_contained_resources() -> None:
    inside: JsonObject = {"url": "http://example.org/x", "valueAttachment": {"data": "QUJD"}}
    resource: JsonObject = {
        "resourceType": "Media",
        "contained": [
            {"resourceType": "Practitioner", "id": "p", "photo": [{"url": "a"}, {"url": "b"}]},
            {"resourceType": "Foo"},
            {},
        ],
        "extension": [{"url": "u", "extension": [dict(inside)]}],
        "_status": {"extension": [dict(inside)]},
        "status": "completed",
        "subject": {"reference": "Patient/1", "extension": [dict(inside)]},
        "content": {"title": "x", "extension": [dict(inside)]},
    }
    assert found(resource) == [
        "Media.contained[0].photo[0]",
        "Media.contained[0].photo[1]",
        "Media.extension[0].extension[0].value",
        "Media.status.extension[0].value",
        "Media.subject.extension[0].value",
        "Media.content",
        "Media.content.extension[0].value",
    ]


def test_finds_attachments_of_a_choice_and_of_recursive_backbones() -> None:
    answer: JsonObject = {"linkId": "2", "answer": [{"valueAttachment": {"url": "a"}}]}
    resource: JsonObject = {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "item": [{"linkId": "1", "item": [answer]}],
    }
    assert found(resource) == ["QuestionnaireResponse.item[0].item[0].answer[0].value"]


def test_the_node_can_be_edited() -> None:
    resource = sample("Media")
    (one,) = find_attachments(resource, "Media")
    one.node["url"] = "Binary/1"
    content = resource["content"]
    assert isinstance(content, dict)
    assert content["url"] == "Binary/1"


@pytest.mark.parametrize("type", TYPES)
def test_odd_shapes_are_passed_over(type: str) -> None:
    resource = sample(type)
    for name in resource:
        if name != "resourceType":
            resource[name] = [None, 1, "x", [[]], {"resourceType": 1}]
    find_attachments(resource, type)


BASE = "https://media.example.org/fhir"


@pytest.mark.parametrize(
    ("url", "identity"),
    [
        ("Binary/a-1.B", "a-1.B"),
        ("Binary/a/_history/3", "a"),
        (f"{BASE}/Binary/a", "a"),
        (f"{BASE}/Binary/a/_history/3", "a"),
        ("/Binary/a", None),
        ("Binary/", None),
        ("Binary/a/", None),
        ("Binary/a/b", None),
        ("Binary/a?x=1", None),
        ("Binary/a#x", None),
        ("Binary/a_b", None),
        ("Binary/" + "a" * 65, None),
        ("Binary/a\n", None),
        ("binary/a", None),
        ("Media/a", None),
        (f"{BASE}Binary/a", None),
        (f"{BASE}/{BASE}/Binary/a", None),
        ("https://other.example.org/fhir/Binary/a", None),
        ("https://media.example.org/fhir/../fhir/Binary/a", None),
        ("", None),
    ],
)
def test_local_binary_id(url: str, identity: str | None) -> None:
    assert local_binary_id(url, BASE) == identity
    assert local_binary_id(url, BASE + "/") == identity
