"""Disclosures as bytes: one text each, readable again, and inert."""

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirmedia.core.disclosure import Depth, Disclosure, Outcome, Touch, decode_disclosure
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key
from tests.audit.logs import a_disclosure, touch

texts = st.text(max_size=12)
maybe = st.none() | texts
END_OF_TIME = 253_402_300_799_999
"""The last millisecond of the year 9999, beyond which FHIR has no instants."""

PEOPLE = ("anna", "bo", "ce")
patients = st.lists(st.sampled_from(PEOPLE), unique=True).map(tuple)
touches = st.builds(
    Touch, st.builds(Key, texts, texts), st.none() | st.integers(1, 9), st.sampled_from(get_args(Depth)), patients
)
disclosures = st.builds(
    Disclosure,
    time=st.integers(0, END_OF_TIME),
    interaction=texts,
    subject=texts,
    client=texts,
    request_id=texts,
    outcome=st.sampled_from(get_args(Outcome)),
    user=maybe,
    token_id=maybe,
    purpose=maybe,
    reason=maybe,
    roles=st.lists(texts, max_size=3).map(tuple),
    address=maybe,
    issue=maybe,
    query_sha256=maybe,
    patients=st.just(PEOPLE),
    touched=st.lists(touches, max_size=4).map(tuple),
)


@given(disclosures)
def test_bytes_say_it_all(disclosure: Disclosure) -> None:
    assert decode_disclosure(disclosure.encode()) == disclosure


@given(disclosures)
def test_bytes_are_plain_json_in_printable_ascii(disclosure: Disclosure) -> None:
    content = disclosure.encode()
    assert all(0x20 <= byte < 0x7F for byte in content)
    assert json.dumps(json.loads(content), separators=(",", ":")).encode() == content


@given(disclosures, disclosures)
def test_different_disclosures_have_different_bytes(one: Disclosure, other: Disclosure) -> None:
    assert (one.encode() == other.encode()) == (one == other)


def test_members_stay_as_they_are() -> None:
    told = a_disclosure(
        "search-type", touch("Media/m", of=["anna", "bo"], version=3, depth="listed"), roles=("auditor",)
    )
    assert json.loads(told.encode()) == {
        "form": 1,
        "time": 1_700_000_000_000,
        "interaction": "search-type",
        "outcome": "0",
        "subject": "https://login.example.org|kim",
        "client": "viewer",
        "user": "Practitioner/kim",
        "token_id": "t-1",
        "purpose": "TREAT",
        "address": "192.0.2.7",
        "request_id": "r-1",
        "roles": ["auditor"],
        "patients": ["anna", "bo"],
        "touched": [["Media", "m", 3, "listed", [0, 1]]],
    }


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"1",
        b"{}",
        b'{"form":2}',
        b'{"form":1}',
        b'{"form":1,"nonsense":1}',
        a_disclosure().encode()[:-1],
        a_disclosure().encode().replace(b'"form":1', b'"form":9'),
        a_disclosure("read", touch("Media/m", of=["anna"])).encode().replace(b"[0]]]", b"[4]]]"),
        a_disclosure("read", touch("Media/m")).encode().replace(b'"Media",', b""),
    ],
)
def test_other_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(Failure) as refused:
        decode_disclosure(content)
    assert refused.value.category is Category.CORRUPT


def test_patient_of_a_touch_must_be_named() -> None:
    with pytest.raises(KeyError):
        a_disclosure("read", touch("Media/m", of=["anna"]), patients=()).encode()
