"""Tokens for a demo folder: its own key signs them, and only a server on a folder marked as demo trusts that key."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from fhirmedia.access.policy import ROLES
from fhirmedia.access.scopes import LETTERS, Level, Scope
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.ids import new_id
from fhirmedia.issuer.jose import (
    SigningKey,
    TokenPolicy,
    load_private_pem,
    new_private_pem,
    sign,
    verifying_key,
)
from fhirmedia.issuer.jwks import FixedKeys
from fhirmedia.issuer.rows import LONGEST_LIFE_S, ClaimNames, IssuerRow
from fhirmedia.r4.json_types import JsonObject

DEMO_ISSUER = "urn:fhirmedia:demo"
DEMO_CLIENT = "fhirmedia-demo"
DEMO_TYPE = "at+jwt"
DEFAULT_LIFE_S = 12 * 3600

_MARK = "DEMO"
_LEVELS: tuple[Level, ...] = ("patient", "user", "system")
_PEM_MAX_BYTES = 16 * 1024


def mark_demo(folder: Path) -> None:
    """Mark a data folder as demo, for good: a server on it accepts the tokens that `mint` makes."""
    (folder / _MARK).touch(mode=0o600)


def is_demo(folder: Path) -> bool:
    """Whether a data folder is marked as demo."""
    return (folder / _MARK).is_file()


def ensure_demo_key(folder: Path) -> SigningKey:
    """The signing key of a demo folder, made when first asked for; raises Failure FORBIDDEN on any other folder."""
    if not is_demo(folder):
        raise Failure(Category.FORBIDDEN, "Only a folder marked as demo mints tokens and trusts them.")
    return ensure_key(folder / "keys" / "demo.pem", algorithm="ES256")


def ensure_key(path: Path, *, algorithm: Literal["ES256", "ES384"]) -> SigningKey:
    """The signing key in a PEM file; made there (0600, its folder 0700), durably and once, if there is none.

    Raises Failure INVALID if the file holds no such key, or others may read it.
    """
    if not path.exists():
        _write_once(path, new_private_pem(algorithm))
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise Failure(Category.INVALID, "The key file may be read by others; its mode must be 0600.")
        key = load_private_pem(file.read(_PEM_MAX_BYTES))
    if key.algorithm != algorithm:
        raise Failure(Category.INVALID, f"The key file does not hold a key for {algorithm}.")
    return key


def mint(
    folder: Path,
    *,
    scope: str,
    audience: str,
    now_s: int,
    patient: str | None = None,
    user: str | None = None,
    units: Sequence[str] = (),
    roles: Sequence[str] = (),
    expires_s: int = DEFAULT_LIFE_S,
) -> str:
    """An access token for the server on this demo folder; without `units` it reaches all of them.

    Raises Failure FORBIDDEN off a demo folder, INVALID for a life that is not within 30 days or an unknown role.
    """
    key = ensure_demo_key(folder)
    if not 1 <= expires_s <= LONGEST_LIFE_S:
        raise Failure(Category.INVALID, "A token lives from one second to 30 days.")
    if not set(roles) <= ROLES:
        raise Failure(Category.INVALID, f"A role is one of {', '.join(sorted(ROLES))}.")
    claims: JsonObject = {
        "iss": DEMO_ISSUER,
        "aud": audience,
        "sub": user or "demo",
        "client_id": DEMO_CLIENT,
        "jti": new_id(),
        "iat": now_s,
        "exp": now_s + expires_s,
        "scope": scope,
    }
    if patient is not None:
        claims["patient"] = patient
    if user is not None:
        claims["fhirUser"] = user
    if units:
        claims["units"] = list(units)
    if roles:
        claims["roles"] = list(roles)
    return sign(claims, key, DEMO_TYPE)


def demo_row(folder: Path, *, audience: str) -> IssuerRow:
    """The row by which a server trusts the key of its own demo folder; raises Failure FORBIDDEN on any other folder.

    Every scope, all units, every role; the role importer may write under any id.
    """
    return IssuerRow(
        policy=TokenPolicy(DEMO_ISSUER, audience, ("ES256",), (DEMO_TYPE,), LONGEST_LIFE_S),
        keys=FixedKeys((verifying_key(ensure_demo_key(folder)),)),
        clients=frozenset({DEMO_CLIENT}),
        ceiling=tuple(Scope(level, "*", frozenset(LETTERS)) for level in _LEVELS),
        claims=ClaimNames(units="units", roles="roles"),
        id_prefixes=("*",),
        all_units=True,
        roles=ROLES,
    )


def _write_once(path: Path, content: bytes) -> None:
    """Durably; of several writers at once the first wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{new_id()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
