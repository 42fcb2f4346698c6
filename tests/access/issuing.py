"""Keys, tokens and issuer files for tests: signed by hand where the product would refuse to sign."""

import base64
import hashlib
import hmac
import json
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from fhirmedia.access.scopes import Scope, parse_scopes

NOW = 1_800_000_000
ISSUER = "https://login.example.org/realms/region"
AUDIENCE = "https://archive.example.org/fhir"
TYPES = ("Patient", "Media", "DocumentReference", "Organization", "AuditEvent", "Binary")

CURVES = {"ES256": (ec.SECP256R1(), "P-256"), "ES384": (ec.SECP384R1(), "P-384"), "ES512": (ec.SECP521R1(), "P-521")}
HASHES: dict[str, hashes.HashAlgorithm] = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


def parse(text: str) -> tuple[Scope, ...]:
    return parse_scopes(text, served_types=TYPES, scopable=lambda type, name: (type, name) == ("Media", "kind"))


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def open_bytes(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "==")


def number(value: int, size: int | None = None) -> str:
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8))


class Signer:
    """A private key with its JWK, signing whatever it is given under whatever header."""

    def __init__(self, private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, kid: str) -> None:
        self.private = private
        self.kid = kid

    @property
    def jwk(self) -> dict[str, Any]:
        public = self.private.public_key()
        if isinstance(public, rsa.RSAPublicKey):
            numbers = public.public_numbers()
            return {"kty": "RSA", "kid": self.kid, "n": number(numbers.n), "e": number(numbers.e)}
        size = (public.key_size + 7) // 8
        curve = next(name for each, name in CURVES.values() if each.name == public.curve.name)
        point = public.public_numbers()
        return {"kty": "EC", "kid": self.kid, "crv": curve, "x": number(point.x, size), "y": number(point.y, size)}

    def spki(self, form: str) -> bytes:
        """The public key as PEM, DER, SSH."""
        public = self.private.public_key()
        if form == "ssh":
            return public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        encoding = serialization.Encoding.PEM if form == "pem" else serialization.Encoding.DER
        return public.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)

    def signature(self, content: bytes, algorithm: str) -> bytes:
        digest = HASHES[algorithm[2:]]
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.sign(content, padding.PKCS1v15(), digest)
        r, s = decode_dss_signature(self.private.sign(content, ec.ECDSA(digest)))
        size = (self.private.key_size + 7) // 8
        return r.to_bytes(size) + s.to_bytes(size)

    def raw(self, header: str | bytes, payload: str | bytes, algorithm: str) -> str:
        """A compact JWS over these very bytes."""
        parts = (part if isinstance(part, bytes) else part.encode() for part in (header, payload))
        signed = ".".join(b64(part) for part in parts)
        return f"{signed}.{b64(self.signature(signed.encode(), algorithm))}"

    def token(self, claims: dict[str, Any], algorithm: str = "ES256", **header: Any) -> str:
        """A token; header members are added or, given as None, left out."""
        members = {"alg": algorithm, "kid": self.kid, "typ": "at+jwt"} | header
        kept = {name: value for name, value in members.items() if value is not None}
        return self.raw(json.dumps(kept), json.dumps(claims), algorithm)


@cache
def ec_signer(algorithm: str = "ES256", kid: str = "ec-1") -> Signer:
    return Signer(ec.generate_private_key(CURVES[algorithm][0]), kid)


@cache
def rsa_signer(bits: int = 2048, kid: str = "rsa-1") -> Signer:
    return Signer(rsa.generate_private_key(65537, bits), kid)


def key_set(*signers: Signer | dict[str, Any]) -> bytes:
    return json.dumps({"keys": [each if isinstance(each, dict) else each.jwk for each in signers]}).encode()


def hs256(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    """What a forger makes who takes a public key for a secret."""
    signed = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{signed}.{b64(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def claims(**changes: Any) -> dict[str, Any]:
    """Claims of a good access token; a change to None leaves the claim out."""
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "anna",
        "client_id": "viewer",
        "jti": "t-1",
        "iat": NOW - 60,
        "exp": NOW + 600,
        "scope": "user/*.rs",
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def row(**changes: Any) -> dict[str, Any]:
    """A good row of an issuer file; a change to None leaves the field out."""
    good = {
        "issuer": ISSUER,
        "jwks_file": "keys.json",
        "algorithms": ["ES256"],
        "clients": ["viewer"],
        "scopes": "user/*.cruds patient/*.rs system/*.rs",
        "all_units": True,
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def write_list(folder: Path, *rows: Any, keys: bytes | None = None) -> Path:
    """An issuer file beside its key file; returns its path."""
    (folder / "keys.json").write_bytes(key_set(ec_signer()) if keys is None else keys)
    path = folder / "issuers.json"
    path.write_text(json.dumps(list(rows)))
    return path
