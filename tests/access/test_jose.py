"""The JOSE home: every way in which the library would believe too much is tried on our functions."""

import ast
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from jose import jwk, jws
from jose.backends.cryptography_backend import CryptographyECKey, CryptographyRSAKey

import fhirmedia
from fhirmedia.core.errors import Category, Failure
from fhirmedia.issuer import jose
from fhirmedia.issuer.check_results import CheckResult
from fhirmedia.issuer.jose import TokenPolicy, VerifyingKey, read_key_set, verify
from fhirmedia.issuer.token_form import BRACKETS_MAX, HEADER_MAX_BYTES, TOKEN_MAX_BYTES, open_token
from tests.access.issuing import (
    AUDIENCE,
    ISSUER,
    NOW,
    Signer,
    b64,
    claims,
    ec_signer,
    hs256,
    key_set,
    rsa_signer,
)

POLICY = TokenPolicy(ISSUER, AUDIENCE, ("ES256",), ("at+jwt",), 3600)
ANY_POLICY = TokenPolicy(ISSUER, AUDIENCE, jose.ALGORITHMS, ("at+jwt",), 3600)


def ec_keys() -> tuple[VerifyingKey, ...]:
    return read_key_set(key_set(ec_signer()))


def failed(token: str, *, policy: TokenPolicy = POLICY, keys: tuple[VerifyingKey, ...] | None = None) -> str:
    """The name of the check that refused the token, in bounded time."""
    began = time.process_time()
    result = verify(token, policy, ec_keys() if keys is None else keys, now_s=NOW)
    assert time.process_time() - began < 0.05
    assert isinstance(result, CheckResult)
    assert not result.ok
    return result.name


def fails_with(made: dict[str, Any]) -> str:
    return failed(ec_signer().token(made))


@pytest.mark.parametrize("algorithm", jose.ALGORITHMS)
def test_a_good_token_gives_its_claims(algorithm: str) -> None:
    signer = rsa_signer() if algorithm.startswith("RS") else ec_signer(algorithm)
    policy = TokenPolicy(ISSUER, AUDIENCE, (algorithm,), ("at+jwt",), 3600)
    token = signer.token(claims(), algorithm)
    assert verify(token, policy, read_key_set(key_set(signer)), now_s=NOW) == claims()


# J1, J3: a public key is no secret


@pytest.mark.parametrize("form", ["pem", "der", "ssh"])
@pytest.mark.parametrize("algorithms", [("ES256",), jose.ALGORITHMS])
def test_hs256_signed_with_the_public_key_is_refused(form: str, algorithms: tuple[str, ...]) -> None:
    signer = rsa_signer()
    keys = read_key_set(key_set(signer))
    forged = hs256({"alg": "HS256", "kid": signer.kid, "typ": "at+jwt"}, claims(), signer.spki(form))
    if form == "der":  # the control: the library itself believes it
        assert jws.verify(forged, signer.spki(form), ["RS256", "HS256"])
    policy = TokenPolicy(ISSUER, AUDIENCE, algorithms, ("at+jwt",), 3600)
    assert failed(forged, policy=policy, keys=keys) == "algorithm"


def test_hs256_signed_with_the_jwk_text_is_refused() -> None:
    forged = hs256({"alg": "HS256", "kid": "ec-1", "typ": "at+jwt"}, claims(), json.dumps(ec_signer().jwk).encode())
    assert failed(forged) == "algorithm"


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512", "none", "PS256", "EdDSA", "RSA-OAEP", "", "es256"])
def test_a_policy_names_supported_asymmetric_algorithms_only(algorithm: str) -> None:
    with pytest.raises(Failure) as caught:
        TokenPolicy(ISSUER, AUDIENCE, ("ES256", algorithm), ("at+jwt",), 3600)
    assert caught.value.category is Category.INTERNAL


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", "HS256", "ES256 ", ["ES256"], {"a": 1}, 1, True])
def test_alg_is_taken_from_the_policy(algorithm: Any) -> None:
    signed = f"{b64(json.dumps({'alg': algorithm, 'kid': 'ec-1', 'typ': 'at+jwt'}).encode())}.{b64(b'{}')}"
    token = f"{signed}.{b64(ec_signer().signature(signed.encode(), 'ES256'))}"
    assert failed(token) == "algorithm"


def test_alg_missing_or_without_signature_is_refused() -> None:
    assert failed(ec_signer().token(claims(), alg=None)) == "algorithm"
    header = b64(b'{"alg":"none","kid":"ec-1","typ":"at+jwt"}')
    assert failed(f"{header}.{b64(json.dumps(claims()).encode())}.") == "form"


def test_the_policys_algorithms_are_enforced_beyond_what_the_key_can_do() -> None:
    signer = rsa_signer()
    policy = TokenPolicy(ISSUER, AUDIENCE, ("RS384",), ("at+jwt",), 3600)
    keys = read_key_set(key_set(signer))
    assert failed(signer.token(claims(), "RS256"), policy=policy, keys=keys) == "algorithm"


# J2


@pytest.mark.parametrize("algorithms", ["ES256", ["ES256"], ()])
def test_algorithms_and_types_come_in_tuples(algorithms: Any) -> None:
    for made in ((algorithms, ("at+jwt",)), (("ES256",), algorithms)):
        with pytest.raises(Failure):
            TokenPolicy(ISSUER, AUDIENCE, *made, 3600)


# J3, J4, J5: key sets


@pytest.mark.parametrize(
    "member",
    [
        {"kty": "oct", "kid": "s", "k": "c2VjcmV0"},
        {"kty": "oct", "kid": "s"},
        {"kty": "EC", "kid": "s", "k": "c2VjcmV0"},
        {**ec_signer().jwk, "d": "c2VjcmV0"},
        {**rsa_signer().jwk, "d": "c2VjcmV0"},
        {**rsa_signer(1024).jwk},
        {**ec_signer().jwk, "x": ec_signer().jwk["y"]},
        {**ec_signer().jwk, "x": "!"},
        {**ec_signer("ES384").jwk, "crv": "P-256"},
        {"kty": "EC", "kid": "s", "crv": "P-256", "x": "AQ"},
        {"kty": "RSA", "kid": "s", "e": "AQAB"},
        {"kty": "RSA", "kid": "s", "n": "!!", "e": "AQAB"},
        {**rsa_signer().jwk, "e": "AQ"},
        {**rsa_signer().jwk, "n": b64(b"\xff" * 1025)},
        "a string",
        ["EC"],
        None,
    ],
)
def test_a_key_set_with_such_a_member_is_refused_whole(member: Any) -> None:
    with pytest.raises(Failure) as caught:
        read_key_set(
            key_set(ec_signer(), member) if isinstance(member, dict) else json.dumps({"keys": [member]}).encode()
        )
    assert caught.value.category is Category.INVALID


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"{}", b'{"keys":{}}', b'{"keys":null}', b"not json", b"\xff\xfe", b'{"keys":[],"keys":[]}',
        b"[" * 100_000, b'{"keys":[' + b",".join([b"{}"] * 21) + b"]}",
    ],
)  # fmt: skip
def test_what_is_no_key_set_is_refused(content: bytes) -> None:
    with pytest.raises(Failure) as caught:
        read_key_set(content)
    assert caught.value.category is Category.INVALID


def test_twenty_keys_are_allowed() -> None:
    members = [{**ec_signer().jwk, "kid": f"k{number}"} for number in range(20)]
    assert len(read_key_set(key_set(*members))) == 20


@pytest.mark.parametrize(
    "changes",
    [
        {"use": "enc"},
        {"use": None},
        {"key_ops": ["encrypt"]},
        {"key_ops": "verify"},
        {"alg": "ES384"},
        {"alg": "none"},
        {"kid": None},
        {"kid": 7},
        {"crv": "secp256k1"},
        {"kty": "OKP", "crv": "Ed25519"},
        {"kty": None},
        {"kty": []},
    ],
)
def test_keys_that_are_not_for_us_are_left_out_and_the_others_stay(changes: dict[str, Any]) -> None:
    keys = read_key_set(key_set({**ec_signer().jwk, "kid": "other", **changes}, rsa_signer()))
    assert [key.kid for key in keys] == ["rsa-1"]


def test_a_key_that_says_what_it_is_for_is_taken() -> None:
    (key,) = read_key_set(key_set({**rsa_signer().jwk, "use": "sig", "alg": "RS384", "key_ops": ["verify"]}))
    assert key.algorithms == ("RS384",)
    assert set(key.members) == {"kty", "n", "e"}


def test_one_key_is_selected_by_kid_kind_and_curve() -> None:
    twin = Signer(ec.generate_private_key(ec.SECP256R1()), "ec-1")
    other = Signer(ec.generate_private_key(ec.SECP256R1()), "ec-2")
    good = ec_signer().token(claims())
    assert failed(good, keys=read_key_set(key_set(ec_signer(), twin))) == "key"
    assert failed(good, keys=read_key_set(key_set(other))) == "key"
    assert failed(good, keys=()) == "key"
    assert failed(ec_signer().token(claims(), kid=None)) == "key"
    assert failed(ec_signer().token(claims(), kid=["ec-1"])) == "key"
    assert failed(ec_signer().token(claims(), kid="../../dev/null")) == "key"
    assert failed(ec_signer().token(claims(), kid="ec-1' OR 1=1")) == "key"
    # Another key of the issuer made the signature than the one that is named.
    assert failed(other.token(claims(), kid="ec-1"), keys=read_key_set(key_set(ec_signer(), other))) == "signature"


def test_the_same_kid_on_keys_of_two_kinds_is_told_apart_by_alg() -> None:
    keys = read_key_set(key_set(ec_signer(), {**rsa_signer().jwk, "kid": "ec-1"}))
    assert verify(ec_signer().token(claims()), ANY_POLICY, keys, now_s=NOW) == claims()


def test_es256_takes_no_p384_key() -> None:
    signer = ec_signer("ES384", "p384")
    token = signer.token(claims(), "ES256")
    assert jws.verify(token, signer.jwk, ["ES256"])  # the control: the library does
    assert failed(token, policy=ANY_POLICY, keys=read_key_set(key_set(signer))) == "key"


def test_the_statements_of_the_header_about_keys_are_ignored() -> None:
    stranger = Signer(ec.generate_private_key(ec.SECP256R1()), "ec-1")
    for extra in (
        {"jwk": stranger.jwk},
        {"jku": "http://127.0.0.1:9/keys"},
        {"x5u": "http://127.0.0.1:9/c"},
        {"x5c": ["AA"]},
    ):
        assert failed(stranger.token(claims(), **extra)) == "signature"


@pytest.mark.parametrize("cut", [0, 1, 32, 63])
def test_a_changed_signature_is_refused(cut: int) -> None:
    head, payload, signature = ec_signer().token(claims()).split(".")
    content = bytearray(open_bytes(signature))
    content[cut] ^= 1
    assert failed(f"{head}.{payload}.{b64(bytes(content))}") == "signature"


def open_bytes(part: str) -> bytes:
    import base64

    return base64.urlsafe_b64decode(part + "==")


@pytest.mark.parametrize(
    "signature", [b"\0" * 64, b"\0", b"\xff" * 64, b"\1" * 63, b"\1" * 65, b"\x30\x06\x02\x01\x01\x02\x01\x01"]
)
def test_a_made_up_signature_is_refused(signature: bytes) -> None:
    head, payload, _ = ec_signer().token(claims()).split(".")
    assert failed(f"{head}.{payload}.{b64(signature)}") == "signature"


def test_claims_exchanged_under_a_signature_are_refused() -> None:
    head, _, signature = ec_signer().token(claims()).split(".")
    assert failed(f"{head}.{b64(json.dumps(claims(scope='system/*.cruds')).encode())}.{signature}") == "signature"


# J6: claims


@pytest.mark.parametrize("bad", [None, "1800000600", 1.8e9, True, False, [NOW + 600], {}, -1, 2**53, 2**63])
def test_exp_and_iat_are_whole_numbers(bad: Any) -> None:
    assert fails_with(claims() | {"exp": bad}) == "times"
    assert fails_with(claims() | {"iat": bad}) == "times"


@pytest.mark.parametrize("name", ["exp", "iat"])
def test_exp_and_iat_are_required(name: str) -> None:
    assert fails_with(claims(**{name: None})) == "times"


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"exp": NOW}, "expiry"),
        ({"exp": NOW - 1}, "expiry"),
        ({"iat": NOW + 11}, "issued"),
        ({"iat": NOW - 60, "exp": NOW - 60}, "life"),
        ({"iat": NOW - 60, "exp": NOW - 61}, "life"),
        ({"iat": NOW - 60, "exp": NOW - 60 + 3601}, "life"),
        ({"iat": 0, "exp": NOW + 60}, "life"),
        ({"nbf": NOW + 11}, "begun"),
        ({"nbf": "0"}, "begun"),
        ({"nbf": True}, "begun"),
        ({"nbf": []}, "begun"),
    ],
)
def test_times_are_bounded(changes: dict[str, Any], check: str) -> None:
    assert fails_with(claims(**changes)) == check


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW + 1},
        {"iat": NOW + 10},
        {"nbf": NOW + 10},
        {"nbf": 0},
        {"iat": NOW - 60, "exp": NOW - 60 + 3600},
        {"aud": [AUDIENCE]},
        {"aud": ["account", AUDIENCE]},
    ],
)
def test_times_and_audiences_at_their_bounds_pass(changes: dict[str, Any]) -> None:
    made = claims(**changes)
    assert verify(ec_signer().token(made), POLICY, ec_keys(), now_s=NOW) == made


def test_null_nbf_is_no_time() -> None:
    assert fails_with(claims() | {"nbf": None}) == "begun"


@pytest.mark.parametrize("audience", [None, "", f"{AUDIENCE}/", "https://archive.example.org", [], [[AUDIENCE]], {"a": AUDIENCE}, 1, f"{AUDIENCE} x"])  # fmt: skip
def test_aud_is_ours_exactly(audience: Any) -> None:
    assert fails_with(claims(aud=audience)) == "audience"


@pytest.mark.parametrize("issuer", [None, "", f"{ISSUER}/", ISSUER.upper(), [ISSUER], 1])
def test_iss_is_that_of_the_policy_exactly(issuer: Any) -> None:
    assert fails_with(claims(iss=issuer)) == "issuer"


def test_only_expiry_has_the_code_expired() -> None:
    for made, code in ((claims(exp=NOW), "expired"), (claims(aud="x"), "login"), (claims(iat=NOW - 9999), "login")):
        result = verify(ec_signer().token(made), POLICY, ec_keys(), now_s=NOW)
        assert isinstance(result, CheckResult)
        assert result.code == code
        assert result.sentence


# J7: header


@pytest.mark.parametrize("name", ["crit", "b64", "zip", "enc"])
@pytest.mark.parametrize("value", [[], ["exp"], True, False, "DEF", 0])
def test_unsupported_headers_are_refused(name: str, value: Any) -> None:
    assert failed(ec_signer().token(claims(), **{name: value})) == "form"


@pytest.mark.parametrize(
    "typ", [None, "", "JWT", "jwt", "at-jwt", "id+jwt", "at+jwt ", "x/at+jwt", 1, ["at+jwt"], "logout+jwt"]
)
def test_typ_is_one_of_the_policy(typ: Any) -> None:
    assert failed(ec_signer().token(claims(), typ=typ)) == "type"


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt"])
def test_typ_is_a_media_type(typ: str) -> None:
    assert verify(ec_signer().token(claims(), typ=typ), POLICY, ec_keys(), now_s=NOW) == claims()


# J8, J9: form


HEADER = '{"alg":"ES256","kid":"ec-1","typ":"at+jwt"}'


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
    assert failed(ec_signer().raw(header, payload, "ES256")) == "form"


@pytest.mark.parametrize(
    "text", ["", ".", "..", "...", "a.b", "a.b.c.d", "a.b.c", " ", "\0", "é.é.é", "\ud800.a.b", "=.=.=", "{}.{}.{}"]
)
def test_what_is_no_compact_jws_is_refused(text: str) -> None:
    assert failed(text) == "form"


def test_five_parts_are_no_token() -> None:
    assert failed(ec_signer().token(claims()) + ".AAAA.AAAA") == "form"
    assert failed(ec_signer().token(claims()) + ".AAAA") == "form"


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
        assert failed(spelling) == "form"
    for place, sign in (("-", "+"), ("_", "/")):
        many = next(
            text for text in (ec_signer().token(claims(jti=str(n))) for n in range(999)) if place in text.split(".")[2]
        )
        assert failed(many.replace(place, sign)) == "form"


def test_the_length_is_bounded() -> None:
    token = ec_signer().token(claims(note="x" * 16_000))
    assert len(token) > TOKEN_MAX_BYTES
    assert failed(token) == "form"
    assert failed("x" * 1_000_000) == "form"
    assert failed("." * 1_000_000) == "form"
    fits = ec_signer().token(claims(note="x" * 11_000))
    assert len(fits) <= TOKEN_MAX_BYTES
    assert isinstance(verify(fits, POLICY, ec_keys(), now_s=NOW), dict)


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
    result = verify(token, POLICY, ec_keys(), now_s=NOW)
    assert isinstance(result, CheckResult) or result == json.loads(json.dumps(claims() | payload))


# J10: signing


@pytest.mark.parametrize("algorithm", ["ES256", "ES384"])
def test_what_is_signed_verifies_and_its_header_is_ours(algorithm: Any) -> None:
    key = jose.load_private_pem(jose.new_private_pem(algorithm))
    token = jose.sign(claims(alg="none", kid="x", typ="JWT"), key, "at+jwt")
    opened = open_token(token)
    assert opened is not None
    assert opened.header == {"alg": algorithm, "kid": key.kid, "typ": "at+jwt"}
    keys = read_key_set(json.dumps({"keys": [key.public]}).encode())
    assert keys == (jose.verifying_key(key),)
    assert isinstance(verify(token, ANY_POLICY, keys, now_s=NOW), dict)


def test_a_public_jwk_holds_nothing_private() -> None:
    key = jose.load_private_pem(jose.new_private_pem("ES384"))
    assert set(key.public) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    assert key.members["d"] not in repr(key)


def test_the_kid_is_the_thumbprint_of_rfc_7638() -> None:
    """The key of the RFC's own example has this thumbprint."""
    members = {
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3okn"
        "jhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn"
        "1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
    }
    assert jose.thumbprint(members) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_an_rsa_key_signs_by_rs256() -> None:
    pem = rsa_signer().private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key = jose.load_private_pem(pem)
    assert key.algorithm == "RS256"
    assert isinstance(
        verify(jose.sign(claims(), key, "at+jwt"), ANY_POLICY, (jose.verifying_key(key),), now_s=NOW), dict
    )


def weak_pems() -> list[bytes]:
    plain = serialization.NoEncryption()
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    return [
        b"", b"nonsense",
        rsa_signer(1024).private.private_bytes(*form, plain),
        ec.generate_private_key(ec.SECP256K1()).private_bytes(*form, plain),
        ed25519.Ed25519PrivateKey.generate().private_bytes(*form, plain),
        ec_signer().private.private_bytes(*form, serialization.BestAvailableEncryption(b"secret")),
        ec_signer().spki("pem"),
    ]  # fmt: skip


@pytest.mark.parametrize("pem", weak_pems())
def test_other_private_keys_are_refused(pem: bytes) -> None:
    with pytest.raises(Failure) as caught:
        jose.load_private_pem(pem)
    assert caught.value.category is Category.INVALID


def test_signed_bytes_come_back_under_their_own_typ_and_key_only() -> None:
    key, other = (jose.load_private_pem(jose.new_private_pem("ES384")) for _ in range(2))
    payload = b'{"row":1}'
    text = jose.sign_bytes(payload, key, typ="checkpoint+jws")
    keys = (jose.verifying_key(key),)
    assert jose.verify_bytes(text, keys, typ="checkpoint+jws") == payload
    assert jose.verify_bytes(text, keys, typ="at+jwt") is None
    assert jose.verify_bytes(text, (jose.verifying_key(other),), typ="checkpoint+jws") is None
    assert (
        jose.verify_bytes(
            text, (VerifyingKey(key.kid, ("ES384",), jose.verifying_key(other).members),), typ="checkpoint+jws"
        )
        is None
    )
    head, _, signature = text.split(".")
    assert jose.verify_bytes(f"{head}.{b64(b'{}')}.{signature}", keys, typ="checkpoint+jws") is None
    for broken in ("", "a.b.c", text + "=", text[:-2], f"{b64(b'[]')}.{b64(payload)}.{signature}"):
        assert jose.verify_bytes(broken, keys, typ="checkpoint+jws") is None


def test_signed_bytes_have_no_other_header() -> None:
    signer = ec_signer("ES384", "k")
    keys = read_key_set(key_set(signer))
    good = {"alg": "ES384", "kid": "k", "typ": "t"}
    assert jose.verify_bytes(signer.raw(json.dumps(good), b"x", "ES384"), keys, typ="t") == b"x"
    for header in (good | {"crit": ["b64"], "b64": False}, good | {"jwk": signer.jwk}, {"alg": "ES384", "kid": "k"}):
        assert jose.verify_bytes(signer.raw(json.dumps(header), b"x", "ES384"), keys, typ="t") is None


# J11, J12: what the library brings along


def test_the_library_uses_the_cryptography_package() -> None:
    assert isinstance(jwk.construct(ec_signer().jwk, "ES256"), CryptographyECKey)
    assert isinstance(jwk.construct(rsa_signer().jwk, "RS256"), CryptographyRSAKey)


def test_nobody_imports_encryption_or_another_jose_library() -> None:
    forbidden = {"jose.jwe", "jose.jwt", "joserfc", "authlib", "jwt"}
    for path in Path(fhirmedia.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names = {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
            else:
                continue
            assert not {name for name in names if name in forbidden or name.split(".")[0] in forbidden}, path


def test_jwe_is_not_loaded_by_the_home_of_jose() -> None:
    program = "import sys, fhirmedia.issuer.jose; sys.exit('jose.jwe' in sys.modules)"
    assert (
        subprocess.run(
            [sys.executable, "-c", program], check=False, cwd=Path(fhirmedia.__file__).parent.parent
        ).returncode
        == 0
    )


def test_at_hash_and_nonce_raise_nothing() -> None:
    made = claims(at_hash="x", nonce="y")
    assert verify(ec_signer().token(made), POLICY, ec_keys(), now_s=NOW) == made


def test_rsa_1024_is_what_the_library_would_take() -> None:
    """The control for the bound on key size."""
    signer = Signer(rsa.generate_private_key(65537, 1024), "weak")
    assert jws.verify(signer.token(claims(), "RS256"), signer.jwk, ["RS256"])
