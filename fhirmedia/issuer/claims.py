"""From the verified claims of a token to the Caller its issuer's row allows it to be."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fhirmedia.access.caller import Caller
from fhirmedia.access.policy import IMPORTER
from fhirmedia.access.scopes import Scope, ScopeParser, limit
from fhirmedia.core.errors import Failure
from fhirmedia.core.ids import FHIR_ID
from fhirmedia.issuer.check_results import CheckResult
from fhirmedia.issuer.jose import audiences
from fhirmedia.issuer.rows import IssuerRow
from fhirmedia.r4.json_types import Json, JsonObject

TEXT_MAX = 255

_ID_TOKEN_CLAIMS = frozenset({"at_hash", "c_hash", "s_hash"})


@dataclass(frozen=True, slots=True)
class ClaimReader:
    """Reads the claims of one token by the row of its issuer."""

    row: IssuerRow
    parse: ScopeParser

    def checks(self, claims: JsonObject) -> Iterator[CheckResult]:
        """Everything a verified token must also satisfy, in order; `caller` may be asked once all are ok."""
        names = self.row.claims
        client = claims.get(names.client)
        identifies = not _ID_TOKEN_CLAIMS.isdisjoint(claims) or client in audiences(claims)
        yield CheckResult("access-token", not identifies)
        yield CheckResult("bearer", "cnf" not in claims)
        yield CheckResult("subject", _text(claims.get("sub")) is not None)
        yield CheckResult("client", isinstance(client, str) and client in self.row.clients)
        yield CheckResult("acr", not self.row.acr or _text(claims.get("acr")) in self.row.acr)
        scopes = self._scopes(claims)
        yield CheckResult("scope", scopes is not None)
        bound = any(scope.level == "patient" for scope in scopes or ()) or names.patient in claims
        yield CheckResult("patient", not bound or self._patient(claims) is not None)
        yield CheckResult("units", self._units(claims) != _MALFORMED)
        yield CheckResult("roles", self._roles(claims) is not None)
        yield CheckResult("residual", not _object(claims.get("extensions")).get("ihe_pcf"))

    def caller(self, claims: JsonObject) -> Caller:
        """The Caller of claims that passed every check."""
        row, names, expires = self.row, self.row.claims, claims["exp"]
        scopes, units, all_units = self._reach(self._scopes(claims) or (), self._units(claims))
        roles = self._roles(claims) or frozenset()
        importer = IMPORTER in roles
        return Caller(
            subject=f"{row.policy.issuer}|{claims['sub']}",
            client=str(claims[names.client]),
            scopes=scopes,
            patient=self._patient(claims),
            units=units,
            all_units=all_units,
            enterprise=row.enterprise,
            roles=roles,
            id_prefixes=tuple(prefix for prefix in row.id_prefixes if importer or prefix != "*"),
            user=self._reference(claims.get(names.user)),
            token_id=_text(claims.get("jti")),
            purpose=_purpose(claims),
            origins=row.origins,
            expires_at=expires if isinstance(expires, int) else None,
        )

    def _scopes(self, claims: JsonObject) -> tuple[Scope, ...] | None:
        """The scopes below the row's ceiling; None if the claim is malformed. An absent claim is no scope at all."""
        value = claims.get(self.row.claims.scope, [])
        words = _texts(value, apart=None)
        if words is None:
            return None
        if not words:
            return ()
        try:
            asked = self.parse(" ".join(words))
        except Failure:
            return None
        return limit(asked, self.row.ceiling)

    def _reach(
        self, scopes: tuple[Scope, ...], named: frozenset[str] | None
    ) -> tuple[tuple[Scope, ...], frozenset[str], bool]:
        """Scopes, units and whether all units are meant.

        `user/` reaches the units the token names, `system/` those of the row; a row with units bounds what tokens
        name. What would reach no unit by this rule is left out.
        """
        row = self.row
        if named is not None:
            bounded = bool(row.units) or row.all_units
            kept = tuple(scope for scope in scopes if bounded or scope.level != "system")
            return kept, named & row.units if row.units else named, False
        unnamed = row.claims.units is not None and not row.all_units
        kept = tuple(scope for scope in scopes if not unnamed or scope.level != "user")
        return kept, row.units, row.all_units

    def _patient(self, claims: JsonObject) -> str | None:
        return self._id(claims.get(self.row.claims.patient), "Patient")  # type-name: what a launch names

    def _units(self, claims: JsonObject) -> frozenset[str] | None:
        """The units the token names; None if it names none; a mark of its own if they are malformed."""
        name = self.row.claims.units
        if name is None or name not in claims:
            return None
        words = _texts(claims[name], apart=" ")
        if words is None:
            return _MALFORMED
        ids = [self._id(word, "Organization") for word in words]  # type-name: what a unit is
        known = frozenset(found for found in ids if found is not None)
        return _MALFORMED if None in ids else known

    def _roles(self, claims: JsonObject) -> frozenset[str] | None:
        """The roles the token names, cut to those of the row; all of the row's where it names no claim for them."""
        name = self.row.claims.roles
        if name is None:
            return self.row.roles
        words = _texts(claims.get(name, []), apart=" ")
        return None if words is None else self.row.roles & frozenset(words)

    def _id(self, value: Json, kind: str) -> str | None:
        """The id in `id`, `Type/id` or our own absolute URL of it."""
        if not isinstance(value, str):
            return None
        identity = value.removeprefix(f"{self.row.policy.audience}/{kind}/").removeprefix(f"{kind}/")
        return identity if FHIR_ID.match(identity) else None

    def _reference(self, value: Json) -> str | None:
        """`Type/id` of a person on this server; None for one elsewhere."""
        if not isinstance(value, str):
            return None
        relative = value.removeprefix(f"{self.row.policy.audience}/")
        return relative if _RELATIVE.match(relative) else None


_RELATIVE = re.compile(r"[A-Z][A-Za-z]{1,63}/[A-Za-z0-9\-.]{1,64}\Z")
_MALFORMED = frozenset({""})


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= TEXT_MAX and value.isprintable() else None


def _texts(value: Json, *, apart: str | None) -> list[str] | None:
    """A list of texts, or one text split at blanks (left whole where `apart` is None); None for anything else."""
    if isinstance(value, str):
        return value.split(apart) if apart is not None else [value]
    if not isinstance(value, list):
        return None
    words = [item for item in value if isinstance(item, str)]
    return words if len(words) == len(value) else None


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _purpose(claims: JsonObject) -> str | None:
    """The first coded purpose of use of an IHE IUA token, as `system|code`."""
    stated = _object(_object(claims.get("extensions")).get("ihe_iua")).get("purpose_of_use")
    first = _object(stated[0]) if isinstance(stated, list) and stated else {}
    return _text(f"{first['system']}|{first['code']}") if {"system", "code"} <= first.keys() else None
