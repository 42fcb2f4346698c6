"""What no search may say, with which words it is refused, and the little that leniency forgives."""

import pytest

from fhirmedia.core.errors import Category, Failure
from fhirmedia.r4.query_parser import parse_search
from fhirmedia.r4.query_string import decode_query
from tests.fhir.search_reading import SECRET, SERVED, conditions, match, refused, search


@pytest.mark.parametrize(
    "text",
    [
        "patinet=p1",
        "patient=",
        "patient=%20",
        "patient=Foo/1",
        "patient=a/b/c",
        "patient=a_b",
        "patient=Patient/" + "x" * 65,
        "patient=Patient/1/_history/x",
        "patient=%23contained",
        "patient:Media=1",
        "subject:Patient=https://elsewhere.example/Patient/1",
        "patient:exact=1",
        "patient:missing=yes",
        "_has:Media:patient:status=x",
        "_include=Media:status",
        "_revinclude=Media:patient",
        "_text=x*",
        "_content=-x",
        "_filter=x",
        "_list=x",
        "_query=x",
        "_contained=true",
        "_containedType=container",
        "_cursor=x",
        "when=yesterday",
        "when=2024-13",
        "when=xx2024",
        "when=ge",
        "when:not=2024",
        "status:text=x",
        "status:in=x",
        "status:below=x",
        "status:nonsense=x",
        "status=a|b|c",
        "status=|",
        "status=a,,b",
        "status=,",
        "status=a\\b",
        "status=a\\",
        "_id=x|y",
        "_sort=nonsense",
        "_sort=",
        "_sort=when,,status",
        "_sort=_score",
        "_sort:desc=when",
        "_sort=when&_sort=status",
        "_count=x",
        "_count=-1",
        "_count=1.5",
        "_count=١",
        "_count=1&_count=2",
        "_total=maybe",
        "_total=default",
        "_summary=yes",
        "_elements=nonsense",
        "_elements=content.url",
        "_elements=status&_summary=true",
        "=x",
    ],
)
def test_nothing_malformed_is_applied(text: str) -> None:
    assert refused(SERVED, text).category is Category.INVALID


FORGIVEN = {"patinet=p1": "patinet", "patient=": "patient", "_sort=": "_sort", "patinet:exact=p1": "patinet:exact"}


@pytest.mark.parametrize("text", FORGIVEN)
def test_leniency_forgives_unknown_names_and_empty_values(text: str) -> None:
    parsed = search(SERVED, f"{text}&status=completed", lenient=True)
    assert parsed.ignored == (FORGIVEN[text],)
    assert parsed.applied == (("status", "completed"),)
    assert conditions(parsed) == conditions(search(SERVED, "status=completed"))


@pytest.mark.parametrize(
    "text",
    ["patient=a_b", "status:in=x", "_has:Media:patient:status=x", "_include=Media:status", "status.name=x", "when=x",
     "_count=x", "_sort=nonsense", "_filter=x", "status=a,,b", "_contained=true", "_text=x*", "near=1|2",
     "phonetic:exact=x"],
)  # fmt: skip
def test_leniency_forgives_nothing_else(text: str) -> None:
    assert refused(SERVED, text, lenient=True).category is Category.INVALID


def test_an_unspeakable_name_is_not_repeated() -> None:
    failure = refused(SERVED, f"Anna%20{SECRET}=x")
    assert failure.issues[0].text.startswith("parameter (not a name) is unknown")
    assert search(SERVED, f"Anna%20{SECRET}=x", lenient=True).ignored == ("(not a name)",)


@pytest.mark.parametrize(
    "text", ["when={}", "patient={} x", "status=a\\{}", "_count={}", "status:{}=x", "patient=x,{} x"]
)
def test_messages_never_repeat_a_value(text: str) -> None:
    refused(SERVED, text.format(SECRET))


def test_messages_name_parameter_and_place() -> None:
    issue = refused(SERVED, f"when=2024,{SECRET},2023").issues[0]
    assert issue.text.startswith("parameter 'when', value 2: ")
    assert issue.expression == "http.when"


def test_limits() -> None:
    assert refused(SERVED, "&".join(["status=a"] * 101)).category is Category.TOO_COSTLY
    assert refused(SERVED, "_id=" + ",".join(map(str, range(1001)))).category is Category.TOO_COSTLY
    assert refused(SERVED, "_id=" + "," * 10_000).category is Category.TOO_COSTLY
    assert refused(SERVED, "_sort=when,status,created,_id,_lastUpdated").category is Category.TOO_COSTLY
    assert refused(SERVED, "_id=" + "x" * 300_000).category is Category.TOO_LARGE
    assert len(match(search(SERVED, "_id=" + ",".join(map(str, range(1000))))).tests) == 1000
    with pytest.raises(Failure):
        parse_search([("status", "a")] * 101, context=SERVED, type="Media", compartment=None, lenient=False)


def test_pairs_are_decoded_in_order_with_repeats() -> None:
    assert decode_query(b"a=1&b=%C3%A5+%2B&a=2&&c&d=x=y") == [
        ("a", "1"),
        ("b", "å +"),
        ("a", "2"),
        ("c", ""),
        ("d", "x=y"),
    ]
    assert decode_query("") == []


@pytest.mark.parametrize(
    "raw", [b"a=%", b"a=%4", b"a=%zz", b"a=%ff", b"a=\xff", b"a=%ED%A0%80", b"a=%00", b"%00=a", "a=\ud800"]
)
def test_what_is_not_text_is_refused(raw: bytes | str) -> None:
    with pytest.raises(Failure) as caught:
        decode_query(raw)
    assert caught.value.category is Category.INVALID
