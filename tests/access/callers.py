"""Kinds of caller: who is turned away before anything is looked at, and who may see what."""

from collections.abc import Callable, Mapping

from fhirmedia.issuer.jose import SigningKey, load_private_pem, new_private_pem, sign
from fhirmedia.issuer.minting import DEMO_CLIENT, DEMO_ISSUER, DEMO_TYPE, ensure_demo_key
from tests.servers import FHIR_JSON, Served

Headers = dict[str, str]

STRANGERS = ("none", "malformed", "expired", "wrong-audience", "foreign-key")
"""Nobody can be named for them."""

KNOWN = (
    "no-scope",
    "other-patient",
    "own-patient",
    "other-unit",
    "own-unit",
    "no-units",
    "system",
    "auditor",
    "importer",
)
"""In the order of the columns of every table of answers."""


def headers_of(kind: str, served: Served, *, type: str = "Media") -> Headers:
    """What a caller of this kind sends; `type` is what the scope of `no-scope` does not name."""
    return {"Content-Type": FHIR_JSON} | _KINDS[kind](served, type)


def claims_of(served: Served, scope: str, **changes: object) -> dict[str, object]:
    """Claims as the demo mints them, changed as said."""
    now_s = served.clock() // 1000
    return {
        "iss": DEMO_ISSUER,
        "aud": served.base,
        "sub": "kim",
        "client_id": DEMO_CLIENT,
        "jti": "t-1",
        "iat": now_s,
        "exp": now_s + 600,
        "scope": scope,
    } | changes


def bearer(served: Served, claims: Mapping[str, object], key: SigningKey | None = None) -> Headers:
    """These claims, signed by the demo's own key unless told otherwise."""
    text: str = sign(dict(claims), key or ensure_demo_key(served.folder), DEMO_TYPE)
    return {"Authorization": f"Bearer {text}"}


def _unnamed(type: str) -> str:
    """A scope for a type that is not this one and cannot hold content."""
    return "user/Encounter.cruds" if type != "Encounter" else "user/Organization.cruds"


_ALL = "user/*.cruds"
_KINDS: Mapping[str, Callable[[Served, str], Headers]] = {
    "none": lambda _served, _type: {},
    "malformed": lambda _served, _type: {"Authorization": "Bearer not.a.token"},
    "expired": lambda s, _type: bearer(s, claims_of(s, _ALL, iat=s.clock() // 1000 - 900, exp=s.clock() // 1000 - 400)),
    "wrong-audience": lambda s, _type: bearer(s, claims_of(s, _ALL, aud="https://elsewhere.example.org/fhir")),
    "foreign-key": lambda s, _type: bearer(s, claims_of(s, _ALL), load_private_pem(new_private_pem("ES256"))),
    "no-scope": lambda s, type: s.headers(_unnamed(type)),
    "other-patient": lambda s, _type: s.headers("patient/*.cruds", patient="bo"),
    "own-patient": lambda s, _type: s.headers("patient/*.cruds", patient="anna"),
    "other-unit": lambda s, _type: s.headers(_ALL, units=["eyes"]),
    "own-unit": lambda s, _type: s.headers(_ALL, units=["derm"]),
    "no-units": lambda s, _type: bearer(s, claims_of(s, _ALL, units=[])),
    "system": lambda s, _type: s.headers("system/*.cruds"),
    "auditor": lambda s, _type: s.headers("user/AuditEvent.rs", roles=["auditor"]),
    "importer": lambda s, _type: s.importer(),
}
