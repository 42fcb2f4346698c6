"""A token of the usual signer, judged."""

from typing import Any

from fhirmedia.access.caller import Caller
from fhirmedia.access.scopes import render
from fhirmedia.issuer.check_results import CheckResult
from fhirmedia.issuer.trusted import TrustedIssuers
from tests.access.issuing import NOW, claims, ec_signer


def judge(
    issuers: TrustedIssuers, made: dict[str, Any] | None = None, /, now_s: int = NOW, **header: Any
) -> Caller | CheckResult:
    return issuers.judge(ec_signer().token(claims() if made is None else made, **header), now_s=now_s)


def caller_of(issuers: TrustedIssuers, **changes: Any) -> Caller:
    judged = judge(issuers, claims(**changes))
    assert isinstance(judged, Caller), judged
    return judged


def check_of(issuers: TrustedIssuers, **changes: Any) -> str:
    judged = judge(issuers, claims(**changes))
    assert isinstance(judged, CheckResult), judged
    assert not judged.ok
    return judged.name


def scopes_of(caller: Caller) -> str:
    return " ".join(render(scope) for scope in caller.scopes)
