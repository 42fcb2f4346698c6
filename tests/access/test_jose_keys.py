"""Key sets and private keys: what may verify, what may sign, and what is refused before it can do either."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from fhirmedia.core.errors import Category, Failure
from fhirmedia.issuer import jose
from fhirmedia.issuer.jose import TokenPolicy, VerifyingKey, read_key_set, verify
from fhirmedia.issuer.token_form import open_token
from tests.access.issuing import AUDIENCE, ISSUER, NOW, b64, claims, ec_signer, key_set, rsa_signer

ANY_POLICY = TokenPolicy(ISSUER, AUDIENCE, jose.ALGORITHMS, ("at+jwt",), 3600)


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
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWK"
        "RXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMic"
        "AtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3"
        "XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
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
