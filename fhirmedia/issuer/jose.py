"""The one home of python-jose: sign and verify compact JWS with asymmetric keys (RFC 7515, 7517, 7518, 7519).

The library checks a signature against one key and one algorithm that we chose; every other decision is made here,
because by itself it would try all keys, accept any `typ` and let claims pass that are absent or of the wrong type.
Pure: keys are handed in, time is an argument.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jose import jwk, jws

from fhirmedia.core.errors import Category, Failure
from fhirmedia.issuer.check_results import CheckResult
from fhirmedia.issuer.token_form import Opened, open_token, read_object, split
from fhirmedia.r4.json_types import Json, JsonObject

RSA_ALGORITHMS = ("RS256", "RS384", "RS512")
CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
ALGORITHMS = (*RSA_ALGORITHMS, *CURVES.values())
"""All that are ever accepted: asymmetric ones that the library does with the cryptography package."""

RSA_MIN_BITS, RSA_MAX_BITS = 2048, 8192
KEY_SET_MAX = 20
SKEW_S = 10
"""Allowed for times that lie ahead; it never lengthens a life."""
_TIME_MAX = 2**53


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key of a key set, fit for use: its `kid`, the algorithms it may verify, its bare JWK members."""

    kid: str
    algorithms: tuple[str, ...]
    members: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key with the one algorithm it signs by; `kid` is its thumbprint (RFC 7638)."""

    kid: str
    algorithm: str
    members: Mapping[str, str] = field(repr=False)

    @property
    def public(self) -> JsonObject:
        """The JWK that others verify with."""
        open_members = {name: value for name, value in self.members.items() if name in _PUBLIC}
        return {**open_members, "kid": self.kid, "alg": self.algorithm, "use": "sig"}


@dataclass(frozen=True, slots=True)
class TokenPolicy:
    """What one issuer's tokens must say. `types` are the accepted `typ` in lower case, without `application/`."""

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    types: tuple[str, ...]
    max_life_s: int

    def __post_init__(self) -> None:
        named: tuple[object, object] = (self.algorithms, self.types)
        if not all(isinstance(each, tuple) and each for each in named):
            raise Failure(Category.INTERNAL, "A token policy lists its algorithms and types in tuples.")
        if not set(self.algorithms) <= set(ALGORITHMS):
            raise Failure(Category.INTERNAL, "A token policy names an algorithm that is not supported.")


_PUBLIC = ("kty", "crv", "x", "y", "n", "e")


def verify(token: str, policy: TokenPolicy, keys: Sequence[VerifyingKey], *, now_s: int) -> JsonObject | CheckResult:
    """The claims of a token that satisfies the policy at `now_s`; otherwise the first check that failed.

    Never raises for anything a token says.
    """
    opened = open_token(token)
    if opened is None:
        return CheckResult("form", False)
    for result in checks(token, opened, policy, keys=keys, now_s=now_s):
        if not result.ok:
            return result
    return opened.claims


def checks(
    token: str, opened: Opened, policy: TokenPolicy, *, keys: Sequence[VerifyingKey], now_s: int
) -> Iterator[CheckResult]:
    """Every check of `verify` behind the form, in its order; what depends on a failed one may be left out."""
    header, claims = opened.header, opened.claims
    algorithm = header.get("alg")
    yield CheckResult("type", _type_of(header) in policy.types)
    yield CheckResult("algorithm", algorithm in policy.algorithms)
    yield CheckResult("issuer", claims.get("iss") == policy.issuer)
    key = select_key(header, keys)
    yield CheckResult("key", key is not None)
    if key is not None:
        yield CheckResult("signature", _signed(token, key, algorithm=algorithm))
    yield CheckResult("audience", policy.audience in audiences(claims))
    expires, issued, begins = (_time(claims.get(name)) for name in ("exp", "iat", "nbf"))
    yield CheckResult("times", expires is not None and issued is not None)
    yield CheckResult("begun", "nbf" not in claims or (begins is not None and begins <= now_s + SKEW_S))
    if expires is not None and issued is not None:
        yield CheckResult("issued", issued <= now_s + SKEW_S)
        yield CheckResult("life", 0 < expires - issued <= policy.max_life_s)
        yield CheckResult("expiry", now_s < expires)


def audiences(claims: JsonObject) -> Sequence[Json]:
    """The members of `aud`, which may stand alone (RFC 7519, 4.1.3)."""
    audience = claims.get("aud")
    return audience if isinstance(audience, list) else (audience,)


def select_key(header: JsonObject, keys: Sequence[VerifyingKey]) -> VerifyingKey | None:
    """The one key that has the header's `kid` and may verify its `alg`; None if there is none, or more than one."""
    suited = [key for key in keys if key.kid == header.get("kid") and header.get("alg") in key.algorithms]
    return suited[0] if len(suited) == 1 else None


def read_key_set(content: bytes) -> tuple[VerifyingKey, ...]:
    """The usable keys of a JWK Set (RFC 7517, 5); members of kinds and uses that are not for us are left out.

    Raises Failure INVALID for what is no JWK Set, has more than 20 members, holds a symmetric or private key, a weak
    RSA modulus or a point off its curve.
    """
    read = read_object(content)
    members = read.get("keys") if read is not None else None
    if not isinstance(members, list) or len(members) > KEY_SET_MAX:
        raise Failure(Category.INVALID, "The key set is not a JWK Set of at most 20 keys.")
    found = (_usable(member) for member in members)
    return tuple(key for key in found if key is not None)


def sign(claims: Mapping[str, Json], key: SigningKey, typ: str) -> str:
    """A compact JWS of the claims; its header holds alg, kid and typ and nothing a caller can add."""
    return sign_bytes(json.dumps(claims, separators=(",", ":")).encode(), key, typ=typ)


def sign_bytes(payload: bytes, key: SigningKey, *, typ: str) -> str:
    """A compact JWS of any bytes, with the same header as `sign`."""
    return jws.sign(payload, dict(key.members), {"kid": key.kid, "typ": typ}, key.algorithm)


def verify_bytes(text: str, keys: Sequence[VerifyingKey], *, typ: str) -> bytes | None:
    """The payload of a compact JWS signed by one of the keys with this exact `typ`; None if it is not."""
    content, payload = split(text)
    header = read_object(content) if content is not None else None
    if header is None or header.keys() != {"alg", "kid", "typ"} or header["typ"] != typ:
        return None
    key = select_key(header, keys)
    return payload if key is not None and _signed(text, key, algorithm=header["alg"]) else None


def new_private_pem(algorithm: Literal["ES256", "ES384"]) -> bytes:
    """A fresh private key, PKCS #8 PEM without encryption."""
    curve = ec.SECP256R1() if algorithm == "ES256" else ec.SECP384R1()
    return ec.generate_private_key(curve).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load_private_pem(pem: bytes) -> SigningKey:
    """The signing key of an EC P-256, P-384 or RSA PEM (then RS256); raises Failure INVALID for anything else."""
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise Failure(Category.INVALID, "The file holds no private key in PEM form without a password.") from error
    if isinstance(private, rsa.RSAPrivateKey) and private.key_size >= RSA_MIN_BITS:
        algorithm = "RS256"
    elif isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name in ("secp256r1", "secp384r1"):
        algorithm = "ES256" if private.curve.name == "secp256r1" else "ES384"
    else:
        raise Failure(Category.INVALID, "The private key is neither EC P-256, P-384 nor RSA of 2048 bits or more.")
    members = jwk.construct(pem, algorithm).to_dict()
    return SigningKey(thumbprint(members), algorithm, members)


def thumbprint(members: Mapping[str, str]) -> str:
    """The JWK thumbprint of a key (RFC 7638), SHA-256 as base64url."""
    required = {name: members[name] for name in sorted(_PUBLIC) if name in members}
    digest = hashlib.sha256(json.dumps(required, separators=(",", ":")).encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def verifying_key(key: SigningKey) -> VerifyingKey:
    """The public half of a signing key."""
    members = {name: value for name, value in key.members.items() if name in _PUBLIC}
    return VerifyingKey(key.kid, (key.algorithm,), members)


def _usable(member: Json) -> VerifyingKey | None:
    if not isinstance(member, dict):
        raise Failure(Category.INVALID, "A member of the key set is not an object.")
    if member.get("kty") == "oct" or "k" in member:
        raise Failure(Category.INVALID, "The key set holds a symmetric key.")
    if "d" in member:
        raise Failure(Category.INVALID, "The key set holds a private key.")
    kid, operations = member.get("kid"), member.get("key_ops", ["verify"])
    if not isinstance(kid, str) or member.get("use", "sig") != "sig":
        return None
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    algorithms = _algorithms_of(member)
    if not algorithms:
        return None
    public = {name: value for name in _PUBLIC if isinstance(value := member.get(name), str)}
    if public["kty"] == "RSA" and not RSA_MIN_BITS <= _bits(public.get("n", "")) <= RSA_MAX_BITS:
        raise Failure(Category.INVALID, "An RSA key of the key set has fewer than 2048 or more than 8192 bits.")
    try:
        jwk.construct(public, algorithms[0])
    except Exception as error:
        raise Failure(Category.INVALID, "A member of the key set is not a valid RSA or EC public key.") from error
    return VerifyingKey(kid, algorithms, public)


def _algorithms_of(member: JsonObject) -> tuple[str, ...]:
    """What the key's kind and curve suit, cut to its own `alg` where it states one."""
    kind, curve = member.get("kty"), member.get("crv")
    of_kind: Mapping[Json, tuple[str, ...]] = {
        "RSA": RSA_ALGORITHMS,
        "EC": tuple(algorithm for name, algorithm in CURVES.items() if name == curve),
    }
    suited = of_kind.get(kind, ()) if isinstance(kind, str) else ()
    return tuple(algorithm for algorithm in suited if member.get("alg", algorithm) == algorithm)


def _bits(number: str) -> int:
    """The length of a base64url number; 0 for what is none."""
    try:
        return int.from_bytes(base64.urlsafe_b64decode(number + "==")).bit_length()
    except ValueError:
        return 0


def _signed(token: str, key: VerifyingKey, *, algorithm: Json) -> bool:
    try:
        jws.verify(token, dict(key.members), (str(algorithm),))
    except Exception:  # noqa: BLE001  the library raises many kinds; each one means: not verified
        return False
    return True


def _type_of(header: JsonObject) -> str | None:
    typ = header.get("typ")
    return typ.lower().removeprefix("application/") if isinstance(typ, str) else None


def _time(value: Json) -> int | None:
    """Seconds since 1970 as a whole number; bool is none."""
    return value if type(value) is int and 0 <= value < _TIME_MAX else None
