"""Trusted issuers: a bearer token in, a Caller out, or the one check it failed."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fhirmedia.access.caller import Caller
from fhirmedia.access.scopes import ScopeParser
from fhirmedia.core.errors import Category, Failure
from fhirmedia.issuer.check_results import CheckResult
from fhirmedia.issuer.claims import ClaimReader
from fhirmedia.issuer.jose import VerifyingKey, checks
from fhirmedia.issuer.jwks import KeySource
from fhirmedia.issuer.rows import IssuerRow, RowReader, read_rows
from fhirmedia.issuer.token_form import Opened, open_token

REMEMBERED_MAX = 10_000


@dataclass(frozen=True, slots=True)
class _Remembered:
    """A token once verified: good until it expires, as long as its issuer's keys are the same."""

    caller: Caller
    until_s: int
    source: KeySource
    keys: tuple[VerifyingKey, ...]


class TrustedIssuers:
    """Verifies access tokens of the configured issuers; `iss` selects the row, exactly, and nothing else does."""

    def __init__(self, rows: Iterable[IssuerRow], *, parse: ScopeParser) -> None:
        self._readers = {row.policy.issuer: ClaimReader(row, parse) for row in rows}
        self._remembered: OrderedDict[bytes, _Remembered] = OrderedDict()

    @property
    def origins(self) -> frozenset[str]:
        """The web origins of all rows, for a preflight, which carries no token."""
        return frozenset().union(*(reader.row.origins for reader in self._readers.values()))

    def warm(self, now_s: int) -> None:
        """Start fetching the key sets that have to be fetched; returns at once."""
        for reader in self._readers.values():
            reader.row.keys.current(now_s)

    def authenticate(self, token: str, *, now_s: int) -> Caller:
        """The Caller behind a bearer token; raises Failure UNAUTHENTICATED with issue code `login` or `expired`."""
        judged = self.judge(token, now_s=now_s)
        if isinstance(judged, Caller):
            return judged
        text = "The access token has expired." if judged.code == "expired" else "The access token is not accepted."
        raise Failure(Category.UNAUTHENTICATED, text, code=judged.code)

    def judge(self, token: str, *, now_s: int) -> Caller | CheckResult:
        """The Caller, or the first check that failed, whose name may be logged. Never raises for what a token says."""
        name = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._remembered.get(name)
        if known is not None and now_s < known.until_s and known.source.current(now_s) is known.keys:
            self._remembered.move_to_end(name)
            return known.caller
        opened = open_token(token)
        if opened is None:
            return CheckResult("form", False)
        reader = self._reader(opened)
        if reader is None:
            return CheckResult("issuer", False)
        source = reader.row.keys
        keys = source.current(now_s)
        for result in _all_checks(token, opened, reader, keys=keys, now_s=now_s):
            if not result.ok:
                if result.name == "key":
                    source.missed(now_s)
                return result
        caller = reader.caller(opened.claims)
        self._remember(name, _Remembered(caller, caller.expires_at or 0, source, keys))
        return caller

    def results(self, token: str, *, now_s: int) -> list[CheckResult]:
        """Every check that can be made of a token, in order, for an operator to read; waits for keys to be fetched."""
        opened = open_token(token)
        if opened is None:
            return [CheckResult("form", False)]
        form = CheckResult("form", True)
        reader = self._reader(opened)
        if reader is None:
            return [form, CheckResult("issuer", False)]
        reader.row.keys.refresh(now_s)
        keys = reader.row.keys.current(now_s)
        return [form, *_all_checks(token, opened, reader, keys=keys, now_s=now_s)]

    def _reader(self, opened: Opened) -> ClaimReader | None:
        issuer = opened.claims.get("iss")
        return self._readers.get(issuer) if isinstance(issuer, str) else None

    def _remember(self, name: bytes, entry: _Remembered) -> None:
        self._remembered[name] = entry
        self._remembered.move_to_end(name)
        if len(self._remembered) > REMEMBERED_MAX:
            self._remembered.popitem(last=False)


def load_issuers(path: Path, *, audience: str, parse: ScopeParser, more: Iterable[IssuerRow] = ()) -> TrustedIssuers:
    """The issuers of a list (see `rows`) and `more`; `audience` is our FHIR base.

    Raises Failure INVALID in one sentence that names row and field.
    """
    rows = read_rows(path, RowReader(audience=audience, folder=path.parent, parse=parse))
    return TrustedIssuers((*rows, *more), parse=parse)


def _all_checks(
    token: str, opened: Opened, reader: ClaimReader, *, keys: tuple[VerifyingKey, ...], now_s: int
) -> Iterator[CheckResult]:
    yield from checks(token, opened, reader.row.policy, keys=keys, now_s=now_s)
    yield from reader.checks(opened.claims)
