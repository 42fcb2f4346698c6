"""The JOSE home: every way in which the library would believe too much is tried on our functions."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jose import jwk, jws
from jose.backends.cryptography_backend import CryptographyECKey, CryptographyRSAKey

import fhirmedia
from fhirmedia.core.errors import Category, Failure
from fhirmedia.issuer import jose
from fhirmedia.issuer.check_results import CheckResult
from fhirmedia.issuer.jose import TokenPolicy, VerifyingKey, read_key_set, verify
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
    open_bytes,
    rsa_signer,
)
from tests.quick import quickly

POLICY = TokenPolicy(ISSUER, AUDIENCE, ("ES256",), ("at+jwt",), 3600)
ANY_POLICY = TokenPolicy(ISSUER, AUDIENCE, jose.ALGORITHMS, ("at+jwt",), 3600)


def ec_keys() -> tuple[VerifyingKey, ...]:
    return read_key_set(key_set(ec_signer()))


def failed(token: str, *, policy: TokenPolicy = POLICY, keys: tuple[VerifyingKey, ...] | None = None) -> str:
    """The name of the check that refused the token, in bounded time."""
    result = quickly(lambda: verify(token, policy, ec_keys() if keys is None else keys, now_s=NOW))
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


@pytest.mark.parametrize(
    "audience",
    [None, "", f"{AUDIENCE}/", "https://archive.example.org", [], [[AUDIENCE]], {"a": AUDIENCE}, 1, f"{AUDIENCE} x"],
)
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
