"""The outer form of a token: bounded, canonical, and harmless to every parser behind it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirmedia.issuer.check_results import CheckResult
from fhirmedia.issuer.jose import TokenPolicy, read_key_set, verify
from fhirmedia.issuer.token_form import BRACKETS_MAX, HEADER_MAX_BYTES, TOKEN_MAX_BYTES, open_token
from tests.access.issuing import AUDIENCE, ISSUER, NOW, claims, ec_signer, key_set, open_bytes
from tests.quick import quickly

POLICY = TokenPolicy(ISSUER, AUDIENCE, ("ES256",), ("at+jwt",), 3600)
KEYS = read_key_set(key_set(ec_signer()))
HEADER = '{"alg":"ES256","kid":"ec-1","typ":"at+jwt"}'


def check_of(token: str) -> str:
    """The name of the check that refused the token, in bounded time."""
    result = quickly(lambda: verify(token, POLICY, KEYS, now_s=NOW))
    assert isinstance(result, CheckResult)
    return result.name


@pytest.mark.parametrize(
    ("header", "payload"),
    [
        ("[" * 3_500, "{}"),
        (HEADER, "[" * 7_000),
        (HEADER, '{"a":' * (BRACKETS_MAX + 1) + "1" + "}" * (BRACKETS_MAX + 1)),
        (HEADER, '{"exp":Infinity}'),
        (HEADER, '{"exp":-Infinity}'),
        (HEADER, '{"exp":NaN}'),
        (HEADER, '{"exp":1,"exp":2}'),
        (HEADER, '{"a":{"b":1,"b":1}}'),
        ('{"alg":"none","alg":"ES256","kid":"ec-1","typ":"at+jwt"}', "{}"),
        (HEADER, '{"sub":"\\ud800"}'),
        (HEADER, b'{"sub":"\xff"}'),
        (HEADER, '{"n":' + "9" * 5_000 + "}"),
        (HEADER, "[]"),
        (HEADER, '"text"'),
        (HEADER, "null"),
        (HEADER, ""),
        (HEADER, "{"),
        ("[]", "{}"),
        ("null", "{}"),
        ("{", "{}"),
        (b"\xff", "{}"),
        ('{"kid":"' + "x" * HEADER_MAX_BYTES + '"}', "{}"),
    ],
)
def test_crafted_parts_are_one_plain_refusal(header: str | bytes, payload: str | bytes) -> None:
    assert check_of(ec_signer().raw(header, payload, "ES256")) == "form"


@pytest.mark.parametrize(
    "text", ["", ".", "..", "...", "a.b", "a.b.c.d", "a.b.c", " ", "\0", "é.é.é", "\ud800.a.b", "=.=.=", "{}.{}.{}"]
)
def test_what_is_no_compact_jws_is_refused(text: str) -> None:
    assert check_of(text) == "form"


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("part", ["!", "", "A", "e30=", "e3 0", "é"])
def test_each_part_is_base64url(place: int, part: str) -> None:
    parts = ec_signer().token(claims()).split(".")
    parts[place] = part
    assert check_of(".".join(parts)) == "form"


def test_five_parts_are_no_token() -> None:
    assert check_of(ec_signer().token(claims()) + ".AAAA.AAAA") == "form"
    assert check_of(ec_signer().token(claims()) + ".AAAA") == "form"


def test_one_text_for_one_token() -> None:
    """Padding, other alphabets, line ends and the loose bits of a last character make no second spelling."""
    token = ec_signer().token(claims())
    head, payload, signature = token.split(".")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    loose = signature[:-1] + letters[letters.index(signature[-1]) ^ 1]
    assert open_bytes(loose) == open_bytes(signature)
    spellings = [
        f"{token}=",
        f"{token}==",
        f"{token}\n",
        f" {token}",
        f"{head}=.{payload}.{signature}",
        f"{head}.{payload}.{loose}",
    ]
    for spelling in spellings:
        assert check_of(spelling) == "form"
    for place, sign in (("-", "+"), ("_", "/")):
        many = next(
            text for text in (ec_signer().token(claims(jti=str(n))) for n in range(999)) if place in text.split(".")[2]
        )
        assert check_of(many.replace(place, sign)) == "form"


def test_the_length_is_bounded() -> None:
    token = ec_signer().token(claims(note="x" * 16_000))
    assert len(token) > TOKEN_MAX_BYTES
    assert check_of(token) == "form"
    assert check_of("x" * 1_000_000) == "form"
    assert check_of("." * 1_000_000) == "form"
    fits = ec_signer().token(claims(note="x" * 11_000))
    assert len(fits) <= TOKEN_MAX_BYTES
    assert isinstance(verify(fits, POLICY, KEYS, now_s=NOW), dict)


def test_brackets_up_to_the_limit_are_read() -> None:
    assert (
        open_token(ec_signer().raw(HEADER, '{"a":[' + ",".join(["[]"] * (BRACKETS_MAX - 2)) + "]}", "ES256"))
        is not None
    )
    assert open_token(ec_signer().raw(HEADER, '{"a":[' + ",".join(["[]"] * (BRACKETS_MAX - 1)) + "]}", "ES256")) is None


@given(st.text(max_size=60) | st.text('eyJ.{}":[]=-_A', max_size=200))
def test_no_text_makes_it_raise(text: str) -> None:
    assert isinstance(verify(text, POLICY, (), now_s=NOW), CheckResult)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from(["alg", "kid", "typ", "cty", "jwk"]), JSON, max_size=4),
    st.dictionaries(st.sampled_from(["iss", "aud", "exp", "iat", "nbf", "sub"]), JSON, max_size=6),
)
def test_no_signed_json_makes_it_raise(header: dict[str, Any], payload: dict[str, Any]) -> None:
    made_header = {"alg": "ES256", "kid": "ec-1", "typ": "at+jwt"} | header
    token = ec_signer().raw(json.dumps(made_header), json.dumps(claims() | payload), "ES256")
    result = verify(token, POLICY, KEYS, now_s=NOW)
    assert isinstance(result, CheckResult) or result == json.loads(json.dumps(claims() | payload))
