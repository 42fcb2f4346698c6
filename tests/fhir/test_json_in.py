"""JSON in: what is refused, that nothing sent comes back in the refusal, and that digits and order survive."""

import json
import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirmedia.core.errors import Category, Failure
from fhirmedia.r4.codec import dump
from fhirmedia.r4.json_in import DEPTH_MAX, parse_json
from fhirmedia.r4.json_types import Json

CANARY = "Kari01019012345"

REFUSED = [
    pytest.param(b"", "structure", id="nothing"),
    pytest.param(b"   ", "structure", id="blanks"),
    pytest.param(b"{", "structure", id="open"),
    pytest.param(b'{"a":1}{"b":2}', "structure", id="two roots"),
    pytest.param(b'{"a":1} x', "structure", id="text behind"),
    pytest.param(b"[]", "structure", id="array"),
    pytest.param(b'"text"', "structure", id="string"),
    pytest.param(b"null", "structure", id="null"),
    pytest.param(b"1", "structure", id="number"),
    pytest.param(b"\xef\xbb\xbf{}", "structure", id="byte order mark"),
    pytest.param('{"a":"å"}'.encode("latin-1"), "structure", id="latin-1"),
    pytest.param('{"a":"x"}'.encode("utf-16"), "structure", id="utf-16"),
    pytest.param(b'{"a":"\xed\xa0\x80"}', "structure", id="surrogate in UTF-8"),
    pytest.param(b'{"a":1,"a":1}', "structure", id="name twice"),
    pytest.param(b'{"o":[{"a":1,"b":2,"\\u0061":3}]}', "structure", id="name twice, once escaped"),
    pytest.param(b'{"a":NaN}', "value", id="NaN"),
    pytest.param(b'{"a":Infinity}', "value", id="Infinity"),
    pytest.param(b'{"a":-Infinity}', "value", id="-Infinity"),
    pytest.param(b'{"a":"\\u0000"}', "value", id="NUL"),
    pytest.param(b'{"\\u0000":1}', "value", id="NUL in a name"),
    pytest.param(b'{"a":"\\\\\\u0000"}', "value", id="NUL behind a backslash"),
    pytest.param(b'{"a":"\x00"}', "structure", id="raw NUL"),
    pytest.param(b'{"a":"\n"}', "structure", id="raw line feed"),
    pytest.param(b'{"a":"\\ud800"}', "value", id="high surrogate"),
    pytest.param(b'{"a":"\\udc00"}', "value", id="low surrogate"),
    pytest.param(b'{"a":"\\udc00\\ud800"}', "value", id="surrogates the wrong way round"),
    pytest.param(b'{"a":"\\ud83d\\ud83d\\ude00"}', "value", id="half a pair before a pair"),
    pytest.param(b'{"a":"\\\\\\ud800"}', "value", id="surrogate behind a backslash"),
    pytest.param(b'{"a":"\\\\ud83d\\ude00"}', "value", id="what looks like a pair"),
    pytest.param(b'{"a":' + b"9" * 5000 + b"}", "value", id="5000 digits"),
    pytest.param(b'{"a":1e99999999999999999999}', "value", id="endless exponent"),
    pytest.param(b'{"a":01}', "structure", id="leading zero"),
    pytest.param(b'{"a":+1}', "structure", id="plus"),
    pytest.param(b'{"a":.5}', "structure", id="no digit before the point"),
    pytest.param(b'{"a":1.}', "structure", id="no digit behind the point"),
    pytest.param(b"{'a':1}", "structure", id="single quotes"),
    pytest.param(b'{"a":1,}', "structure", id="comma at the end"),
    pytest.param(b'{"a":/* c */1}', "structure", id="comment"),
    pytest.param(b'{"a":' + b"[" * DEPTH_MAX + b"]" * DEPTH_MAX + b"}", "structure", id="one too deep"),
    pytest.param(b'{"a":' * 100_000, "structure", id="100 000 deep, open"),
    pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "structure", id="100 000 deep"),
    pytest.param(b"[" * 1_000_000, "structure", id="a million deep"),
]


@pytest.mark.parametrize(("content", "code"), REFUSED)
def test_refuses(content: bytes, code: str) -> None:
    begun = time.process_time()
    with pytest.raises(Failure) as refusal:
        parse_json(content)
    assert time.process_time() - begun < 1
    assert refusal.value.category is Category.INVALID
    assert [issue.code for issue in refusal.value.issues] == [code]


@pytest.mark.parametrize(
    "content",
    [
        f'{{"{CANARY}":1,"{CANARY}":2}}',
        f'{{"a":"{CANARY}\\u0000"}}',
        f'{{"a":"{CANARY}\\ud800"}}',
        f'{{"a":"{CANARY}"',
        f'{{"a":{CANARY}}}',
        f'{{"a":{"1" * 5000}}}',
    ],
)
def test_repeats_nothing_that_was_sent(content: str) -> None:
    with pytest.raises(Failure) as refusal:
        parse_json(content.encode())
    told = " ".join(issue.text for issue in refusal.value.issues) + str(refusal.value)
    assert CANARY not in told
    assert "1111" not in told


def test_keeps_order_and_digits() -> None:
    read = parse_json(b'{"z":1.00,"a":[1e2,-0.0,12345678901234567890],"m":{"k":0.10,"b":true,"n":null}}')
    assert list(read) == ["z", "a", "m"]
    assert isinstance(read["a"], list)
    assert [type(one) for one in (read["z"], *read["a"])] == [Decimal, Decimal, Decimal, int]
    assert dump(read) == b'{"z":1.00,"a":[1E+2,-0.0,12345678901234567890],"m":{"k":0.10,"b":true,"n":null}}'


def test_reads_what_is_allowed() -> None:
    assert parse_json(b'\r\n\t {"a":"\\ud83d\\ude00 \\\\u0000 \\\\ud800 \\u00e5"} ') == {"a": "😀 \\u0000 \\ud800 å"}
    deepest = b'{"a":' + b"[" * (DEPTH_MAX - 1) + b"]" * (DEPTH_MAX - 1) + b"}"
    assert parse_json(deepest)
    assert parse_json(b'{"a":"' + b"[{" * 1000 + b'"}')


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.decimals(allow_nan=False, allow_infinity=False, places=5)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text("abc_åé", min_size=1), inner, max_size=5),
    max_leaves=20,
)


@given(value=VALUES)
def test_what_is_written_is_read_back(value: Json) -> None:
    text = dump({"v": value})
    assert dump(parse_json(text)) == text


@given(value=VALUES, ascii_only=st.booleans())
def test_reads_what_another_writer_writes(value: object, ascii_only: bool) -> None:
    plain = json.loads(json.dumps({"v": value}, default=str))
    assert parse_json(json.dumps(plain, ensure_ascii=ascii_only).encode()) == plain


@given(content=st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_anything_else_is_a_failure(content: bytes) -> None:
    try:
        outcome: object = parse_json(content)
    except Failure as refusal:
        outcome = refusal.category
    assert isinstance(outcome, dict) or outcome is Category.INVALID
