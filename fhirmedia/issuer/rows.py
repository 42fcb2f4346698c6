"""The operator's list of trusted issuers: one JSON row for each, read strictly and once, at start."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from fhirmedia.access.policy import ROLES
from fhirmedia.access.scopes import Scope, ScopeParser
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.ids import FHIR_ID
from fhirmedia.core.settings import LOOPBACK
from fhirmedia.issuer.jose import ALGORITHMS, TokenPolicy, read_key_set
from fhirmedia.issuer.jwks import SET_MAX_BYTES, FetchedKeys, FixedKeys, KeySource, check_uri
from fhirmedia.issuer.token_form import read_json
from fhirmedia.r4.json_types import Json, JsonObject

LIST_MAX_BYTES = 1024 * 1024
DEFAULT_LIFE_S = 3600
LONGEST_LIFE_S = 30 * 24 * 3600
TYPES = ("at+jwt", "jwt")
"""Values of `typ` a row may accept, in lower case."""

_NAME = re.compile(r"[\x21-\x7b\x7d-\x7e]{1,255}\Z")
"""Printable ASCII without blank and without the bar that joins issuer, subject and client."""
_PREFIX = re.compile(r"[A-Za-z0-9\-.]{1,63}\Z|\*\Z")


@dataclass(frozen=True, slots=True)
class ClaimNames:
    """Under which names the tokens of an issuer carry what a Caller is made of; None: they do not carry it."""

    scope: str = "scope"
    client: str = "client_id"
    patient: str = "patient"
    user: str = "fhirUser"
    units: str | None = None
    roles: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerRow:
    """One trusted issuer: how its tokens are verified, and the most they can be used for.

    `units` bound what tokens of this issuer may name; `all_units` leaves it unbound. `roles` bound likewise. `acr`
    lists the levels of login that suffice; empty: any.
    """

    policy: TokenPolicy
    keys: KeySource = field(compare=False)
    clients: frozenset[str]
    ceiling: tuple[Scope, ...]
    claims: ClaimNames = ClaimNames()
    origins: frozenset[str] = frozenset()
    id_prefixes: tuple[str, ...] = ()
    enterprise: str | None = None
    units: frozenset[str] = frozenset()
    all_units: bool = False
    roles: frozenset[str] = frozenset()
    acr: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RowReader:
    """Reads rows; `audience` is our FHIR base, relative names of `jwks_file` start at `folder`."""

    audience: str
    folder: Path
    parse: ScopeParser

    def read(self, row: Json, number: int) -> IssuerRow:
        """One row; raises Failure INVALID with a sentence that names the row and the field."""
        if not isinstance(row, dict):
            _refuse(number, "row", "must be a JSON object")
        unknown = sorted(row.keys() - _FIELDS)
        if unknown:
            _refuse(number, unknown[0], "is not a known field")
        take = _Fields(row, number)
        policy = TokenPolicy(
            issuer=take.name("issuer"),
            audience=take.name("audience", default=self.audience),
            algorithms=take.names("algorithms", allowed=ALGORITHMS, required=True),
            types=tuple(take.names("typ", allowed=TYPES, default=TYPES[:1], fold=str.lower)),
            max_life_s=take.seconds("max_life_s", default=DEFAULT_LIFE_S, largest=LONGEST_LIFE_S),
        )
        all_units, units = take.flag("all_units"), frozenset(take.names("units", form=FHIR_ID))
        if all_units and units:
            _refuse(number, "units", "cannot stand beside all_units")
        return IssuerRow(
            policy=policy,
            keys=self._keys(take),
            clients=frozenset(take.names("clients", required=True)),
            ceiling=self._ceiling(take),
            claims=take.claim_names("claims"),
            origins=frozenset(take.names("origins", check=_is_origin)),
            id_prefixes=take.names("id_prefixes", form=_PREFIX),
            enterprise=take.names("enterprise", form=FHIR_ID, single=True)[0] if "enterprise" in row else None,
            units=units,
            all_units=all_units,
            roles=frozenset(take.names("roles", allowed=sorted(ROLES))),
            acr=frozenset(take.names("min_acr")),
        )

    def _keys(self, take: "_Fields") -> KeySource:
        if ("jwks_file" in take.row) == ("jwks_uri" in take.row):
            _refuse(take.number, "jwks_file", "or jwks_uri must be given, and not both")
        if "jwks_uri" in take.row:
            return FetchedKeys(take.names("jwks_uri", check=check_uri, single=True)[0])
        path = self.folder / take.names("jwks_file", form=re.compile(r"[^\0]+\Z"), single=True)[0]
        try:
            with path.open("rb") as file:
                content = file.read(SET_MAX_BYTES + 1)
            keys = read_key_set(content)
        except OSError:
            _refuse(take.number, "jwks_file", "cannot be read")
        except Failure as failure:
            _refuse(take.number, "jwks_file", f"is refused: {failure.issues[0].text}")
        if len(content) > SET_MAX_BYTES or not keys:
            _refuse(take.number, "jwks_file", "must be at most 64 KiB with at least one usable key")
        return FixedKeys(keys)

    def _ceiling(self, take: "_Fields") -> tuple[Scope, ...]:
        text = take.row.get("scopes")
        if not isinstance(text, str):
            _refuse(take.number, "scopes", "must be a string of scopes, the most a token of this issuer may have")
        for token in text.split(" "):
            try:
                known = self.parse(token)
            except Failure:
                known = ()
            if not known:
                _refuse(take.number, "scopes", "holds a scope that is not defined here")
        return self.parse(text)


def read_rows(path: Path, reader: RowReader) -> tuple[IssuerRow, ...]:
    """Every row of the list; raises Failure INVALID in one sentence, also where two rows have the same issuer."""
    try:
        with path.open("rb") as file:
            content = file.read(LIST_MAX_BYTES + 1)
        rows = read_json(content, brackets_max=LIST_MAX_BYTES // 16)
    except OSError as error:
        raise Failure(Category.INVALID, "The list of trusted issuers cannot be read.") from error
    except ValueError as error:
        raise Failure(Category.INVALID, "The list of trusted issuers is not JSON with unique names.") from error
    if len(content) > LIST_MAX_BYTES or not isinstance(rows, list) or not rows:
        raise Failure(
            Category.INVALID, "The list of trusted issuers must be a JSON array of at least one row, within 1 MiB."
        )
    read: dict[str, IssuerRow] = {}
    for number, each in enumerate(rows, start=1):
        row = reader.read(each, number)
        if row.policy.issuer in read:
            _refuse(number, "issuer", "is already the issuer of another row")
        read[row.policy.issuer] = row
    return tuple(read.values())


@dataclass(frozen=True, slots=True)
class _Fields:
    """The fields of one row, taken by name and shape."""

    row: JsonObject
    number: int

    def name(self, name: str, *, default: str | None = None) -> str:
        """One name of printable ASCII."""
        if name not in self.row and default is not None:
            return default
        return self.names(name, single=True)[0]

    def names(
        self,
        name: str,
        *,
        form: re.Pattern[str] = _NAME,
        allowed: Collection[str] | None = None,
        check: Callable[[str], bool] = bool,
        fold: Callable[[str], str] = str,
        default: tuple[str, ...] = (),
        required: bool = False,
        single: bool = False,
    ) -> tuple[str, ...]:
        """A list of strings that pass form, list and check; a bare string where `single`."""
        value = self.row.get(name)
        if name not in self.row and not required and not single:
            return default
        items = [value] if single else value
        if not isinstance(items, list) or not items or not all(isinstance(item, str) for item in items):
            _refuse(self.number, name, "must be a string" if single else "must be a list of one or more strings")
        words = tuple(fold(item) for item in items if isinstance(item, str))
        if not all(form.match(word) and check(word) for word in words):
            _refuse(self.number, name, "has a value of the wrong form")
        if allowed is not None and not set(words) <= set(allowed):
            _refuse(self.number, name, f"must be of {', '.join(allowed)}")
        return words

    def flag(self, name: str) -> bool:
        """A boolean, false where absent."""
        value = self.row.get(name, False)
        if not isinstance(value, bool):
            _refuse(self.number, name, "must be true or false")
        return value

    def seconds(self, name: str, *, default: int, largest: int) -> int:
        """A whole number of seconds, one at least."""
        value = self.row.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= largest:
            _refuse(self.number, name, f"must be a whole number of seconds from 1 to {largest}")
        return value

    def claim_names(self, name: str) -> ClaimNames:
        """The map of claim names."""
        value = self.row.get(name, {})
        known = {each.name for each in fields(ClaimNames)}
        if not isinstance(value, dict) or not value.keys() <= known:
            _refuse(self.number, name, f"must be an object with members of {', '.join(sorted(known))}")
        stated = {key: claim for key, claim in value.items() if isinstance(claim, str) and claim}
        if len(stated) != len(value):
            _refuse(self.number, name, "must name each claim by a string")
        return ClaimNames(**stated)


_FIELDS = frozenset(
    {
        "issuer", "audience", "algorithms", "typ", "max_life_s", "jwks_file", "jwks_uri", "clients", "scopes", "claims",
        "origins", "id_prefixes", "enterprise", "units", "all_units", "roles", "min_acr",
    }
)  # fmt: skip


def _is_origin(text: str) -> bool:
    """Whether the text is an origin (RFC 6454) a browser may send: https, or http on a loopback host."""
    try:
        parts = urlsplit(text)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return False
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    return secure and bool(host) and text == f"{parts.scheme}://{host}{port}"


def _refuse(number: int, field_name: str, rule: str) -> NoReturn:
    raise Failure(Category.INVALID, f"Trusted issuers, row {number}: {field_name} {rule}.")
