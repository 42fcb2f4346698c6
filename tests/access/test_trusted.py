"""A bearer token becomes the Caller its issuer's row allows, or is refused by the name of one check."""

import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fhirmedia.access.caller import Caller
from fhirmedia.core.errors import Category, Failure
from fhirmedia.issuer import trusted
from fhirmedia.issuer.check_results import RULES, CheckResult
from fhirmedia.issuer.trusted import TrustedIssuers, load_issuers
from tests.access.issuing import (
    AUDIENCE,
    ISSUER,
    NOW,
    Signer,
    claims,
    ec_signer,
    key_set,
    parse,
    row,
    rsa_signer,
    write_list,
)
from tests.access.judging import caller_of, check_of, judge
from tests.quick import quickly

SECOND = "https://login.second.example.org"


def test_a_good_token_is_a_caller(load: Callable[..., TrustedIssuers]) -> None:
    issuers = load(enterprise="north", origins=["https://viewer.example.org"], id_prefixes=["ehr-"])
    caller = issuers.authenticate(ec_signer().token(claims()), now_s=NOW)
    assert caller == Caller(
        subject=f"{ISSUER}|anna",
        client="viewer",
        scopes=parse("user/*.rs"),
        all_units=True,
        enterprise="north",
        id_prefixes=("ehr-",),
        token_id="t-1",
        origins=frozenset({"https://viewer.example.org"}),
        expires_at=NOW + 600,
    )
    assert caller.owner == f"{ISSUER}|anna|viewer"


@pytest.mark.parametrize(
    ("made", "header", "check", "code"),
    [
        (claims(exp=NOW), {}, "expiry", "expired"),
        (claims(exp=NOW - 1), {}, "expiry", "expired"),
        (claims(aud="https://other.example.org/fhir"), {}, "audience", "login"),
        (claims(aud=None), {}, "audience", "login"),
        (claims(iss="https://unknown.example.org"), {}, "issuer", "login"),
        (claims(iss=None), {}, "issuer", "login"),
        (claims(iss=[ISSUER]), {}, "issuer", "login"),
        (claims(iss=f"{ISSUER}/"), {}, "issuer", "login"),
        (claims(), {"typ": "JWT"}, "type", "login"),
        (claims(), {"typ": None}, "type", "login"),
        (claims(nonce="n", aud="viewer"), {"typ": None}, "type", "login"),
        (claims(), {"kid": "unknown"}, "key", "login"),
        (claims(client_id="stranger"), {}, "client", "login"),
        (claims(client_id=None), {}, "client", "login"),
        (claims(client_id=["viewer"]), {}, "client", "login"),
        (claims(sub=None), {}, "subject", "login"),
        (claims(sub=""), {}, "subject", "login"),
        (claims(sub="a\nb"), {}, "subject", "login"),
        (claims(sub="a\0"), {}, "subject", "login"),
        (claims(sub="x" * 256), {}, "subject", "login"),
        (claims(sub=7), {}, "subject", "login"),
        (claims(aud=[AUDIENCE, "viewer"]), {}, "access-token", "login"),
        (claims(at_hash="x"), {}, "access-token", "login"),
        (claims(c_hash="x"), {}, "access-token", "login"),
        (claims(s_hash="x"), {}, "access-token", "login"),
        (claims(cnf={"jkt": "x"}), {}, "bearer", "login"),
        (claims(scope="user/*.rs  user/Media.c"), {}, "scope", "login"),
        (claims(scope=""), {}, "scope", "login"),
        (claims(scope="user/*.rs\u00a0x"), {}, "scope", "login"),
        (claims(scope=["user/*.rs", 7]), {}, "scope", "login"),
        (claims(scope={"user/*.rs": True}), {}, "scope", "login"),
        (claims(scope=["a"] * 201), {}, "scope", "login"),
        (claims(scope="patient/*.rs"), {}, "patient", "login"),
        (claims(scope="patient/*.rs user/*.rs"), {}, "patient", "login"),
        (claims(patient=["anna", "bo"]), {}, "patient", "login"),
        (claims(patient="anna bo"), {}, "patient", "login"),
        (claims(patient=""), {}, "patient", "login"),
        (claims(patient="Practitioner/anna"), {}, "patient", "login"),
        (claims(patient="https://other.example.org/fhir/Patient/anna"), {}, "patient", "login"),
        (claims() | {"patient": None}, {}, "patient", "login"),
        (claims(extensions={"ihe_pcf": {"residual": [{"type": "forbid"}]}}), {}, "residual", "login"),
        (claims(extensions={"ihe_pcf": "x"}), {}, "residual", "login"),
    ],
)
def test_a_bad_token_is_refused_by_one_check(
    load: Callable[..., TrustedIssuers], made: dict[str, Any], header: dict[str, Any], check: str, code: str
) -> None:
    issuers = load()
    token = ec_signer().token(made, **header)
    judged = quickly(lambda: issuers.judge(token, now_s=NOW))
    assert judged == CheckResult(check, False)
    with pytest.raises(Failure) as caught:
        issuers.authenticate(token, now_s=NOW)
    assert caught.value.category is Category.UNAUTHENTICATED
    assert caught.value.issues[0].code == code
    assert token not in str(caught.value)
    assert any(result == judged for result in issuers.results(token, now_s=NOW))
    assert issuers.judge(ec_signer().token(claims()), now_s=NOW) == caller_of(issuers)


@pytest.mark.parametrize("token", ["", "x", "fma_opaque", "a.b.c", "\ud800", "x" * 100_000])
def test_what_is_no_token_is_refused(load: Callable[..., TrustedIssuers], token: str) -> None:
    assert load().judge(token, now_s=NOW) == CheckResult("form", False)
    assert load().results(token, now_s=NOW) == [CheckResult("form", False)]


def test_alg_outside_the_row_is_refused_though_a_key_would_do(tmp_path: Path) -> None:
    path = write_list(tmp_path, row(algorithms=["ES256"]), keys=key_set(ec_signer(), rsa_signer()))
    issuers = load_issuers(path, audience=AUDIENCE, parse=parse)
    assert issuers.judge(rsa_signer().token(claims(), "RS256"), now_s=NOW) == CheckResult("algorithm", False)


def test_the_key_of_one_issuer_says_nothing_for_another(tmp_path: Path) -> None:
    other = Signer(ec_signer("ES256", "second").private, "second")
    (tmp_path / "second.json").write_bytes(key_set(other))
    path = write_list(tmp_path, row(), row(issuer=SECOND, jwks_file="second.json", clients=["other"]))
    issuers = load_issuers(path, audience=AUDIENCE, parse=parse)
    assert issuers.judge(other.token(claims()), now_s=NOW) == CheckResult("key", False)
    assert issuers.judge(other.token(claims(), kid="ec-1"), now_s=NOW) == CheckResult("signature", False)
    assert issuers.judge(other.token(claims(iss=SECOND)), now_s=NOW) == CheckResult("client", False)
    good = issuers.judge(other.token(claims(iss=SECOND, client_id="other")), now_s=NOW)
    assert isinstance(good, Caller)
    assert good.subject == f"{SECOND}|anna"


def test_an_id_token_of_the_client_is_refused(load: Callable[..., TrustedIssuers]) -> None:
    issuers = load(typ=["JWT"], audience="viewer")
    assert judge(issuers, claims(aud="viewer", nonce="n"), typ="JWT") == CheckResult("access-token", False)


def test_a_row_may_accept_plain_jwt(load: Callable[..., TrustedIssuers]) -> None:
    issuers = load(typ=["JWT"])
    assert isinstance(judge(issuers, typ="JWT"), Caller)
    assert judge(issuers, typ="at+jwt") == CheckResult("type", False)
    both = load(typ=["at+jwt", "JWT"])
    assert isinstance(judge(both, typ="JWT"), Caller)
    assert isinstance(judge(both), Caller)


def test_a_row_may_have_its_own_audience_and_life(load: Callable[..., TrustedIssuers]) -> None:
    issuers = load(audience="api://archive", max_life_s=600)
    assert check_of(issuers) == "audience"
    assert check_of(issuers, aud="api://archive") == "life"
    assert caller_of(issuers, aud="api://archive", exp=NOW + 540)


@pytest.mark.parametrize(
    ("acr", "check"), [("high", None), ("low", "acr"), (None, "acr"), (["high"], "acr"), (1, "acr")]
)
def test_a_row_may_ask_for_a_level_of_login(load: Callable[..., TrustedIssuers], acr: Any, check: str | None) -> None:
    judged = judge(load(min_acr=["high", "higher"]), claims(acr=acr))
    assert isinstance(judged, Caller) if check is None else judged == CheckResult(check, False)


# What is remembered


def test_a_remembered_token_ends_with_its_life(load: Callable[..., TrustedIssuers]) -> None:
    issuers, token = load(), ec_signer().token(claims())
    first = issuers.judge(token, now_s=NOW)
    assert issuers.judge(token, now_s=NOW + 599) is first
    assert issuers.judge(token, now_s=NOW + 600) == CheckResult("expiry", False)
    assert issuers.judge(token, now_s=NOW + 601) == CheckResult("expiry", False)


def test_refusals_are_not_remembered(load: Callable[..., TrustedIssuers]) -> None:
    issuers, token = load(), ec_signer().token(claims(nbf=NOW + 60))
    assert issuers.judge(token, now_s=NOW) == CheckResult("begun", False)
    assert isinstance(issuers.judge(token, now_s=NOW + 60), Caller)


def test_only_so_many_tokens_are_remembered(
    load: Callable[..., TrustedIssuers], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trusted, "REMEMBERED_MAX", 2)
    issuers = load()
    first, second, third = (ec_signer().token(claims(jti=str(number))) for number in range(3))
    kept = {token: issuers.judge(token, now_s=NOW) for token in (first, second)}
    assert issuers.judge(first, now_s=NOW) is kept[first]
    issuers.judge(third, now_s=NOW)  # `second` was not asked for longest
    assert issuers.judge(first, now_s=NOW) is kept[first]
    assert issuers.judge(second, now_s=NOW) is not kept[second]


def test_a_remembered_token_is_quick(
    load: Callable[..., TrustedIssuers], record_property: Callable[[str, object], None]
) -> None:
    issuers, token = load(), ec_signer().token(claims())
    issuers.judge(token, now_s=NOW)
    spent = min(timeit.repeat(lambda: issuers.judge(token, now_s=NOW), number=2000, repeat=5)) / 2000
    record_property("remembered token, microseconds", round(spent * 1e6, 1))
    assert spent < 100e-6


# What an operator sees


def test_results_name_every_check(load: Callable[..., TrustedIssuers]) -> None:
    results = load().results(ec_signer().token(claims()), now_s=NOW)
    assert [result.name for result in results] == list(RULES)
    assert all(result.ok for result in results)


def test_results_go_on_behind_a_failure(load: Callable[..., TrustedIssuers]) -> None:
    issuers = load()
    token = ec_signer().token(claims(aud="x", exp=NOW - 1, client_id="y"))
    results = issuers.results(token, now_s=NOW)
    assert [result.name for result in results if not result.ok] == ["audience", "expiry", "client"]
    assert all(word != "y" for result in results for word in result.sentence.split())
    for name in ("exp", "iat"):
        untimed = issuers.results(ec_signer().token(claims(**{name: None})), now_s=NOW)
        assert [result.name for result in untimed if not result.ok] == ["times"]
    unknown = issuers.results(ec_signer().token(claims(iss="https://x.example.org")), now_s=NOW)
    assert [(result.name, result.ok) for result in unknown] == [("form", True), ("issuer", False)]
