"""What a row makes of the claims of a good token: scopes, patient, units, roles, person, purpose."""

from collections.abc import Callable
from typing import Any

import pytest

from fhirmedia.issuer.check_results import CheckResult
from fhirmedia.issuer.trusted import TrustedIssuers
from tests.access.issuing import AUDIENCE, claims
from tests.access.judging import caller_of, check_of, judge, scopes_of


@pytest.mark.parametrize(
    ("ceiling", "scope", "given"),
    [
        ("user/*.rs", "user/*.cruds", "user/*.rs"),
        ("user/Media.rs", "user/*.cruds system/*.cruds", "user/Media.rs"),
        ("user/*.rs", "user/Media.read", "user/Media.rs"),
        ("user/*.rs", ["user/Media.r", "user/Patient.s"], "user/Media.r user/Patient.s"),
        ("user/*.rs", [], ""),
        ("user/*.rs", None, ""),
        ("user/*.rs", "openid profile user/Media.dus user/Unheard.rs", ""),
        ("patient/*.rs", "user/*.rs", ""),
    ],
)
def test_scopes_stay_below_the_ceiling(
    load: Callable[..., TrustedIssuers], ceiling: str, scope: Any, given: str
) -> None:
    assert scopes_of(caller_of(load(scopes=ceiling), scope=scope)) == given


@pytest.mark.parametrize("patient", ["anna", "Patient/anna", f"{AUDIENCE}/Patient/anna"])
def test_the_launch_patient(load: Callable[..., TrustedIssuers], patient: str) -> None:
    assert caller_of(load(), scope="patient/*.rs", patient=patient).patient == "anna"


def test_a_patient_scope_above_the_ceiling_asks_for_no_patient(load: Callable[..., TrustedIssuers]) -> None:
    assert caller_of(load(scopes="user/*.rs"), scope="patient/*.rs user/*.rs").patient is None


UNITS: dict[str, Any] = {"claims": {"units": "wards"}}
BOTH_LEVELS = "user/*.rs system/*.rs"


@pytest.mark.parametrize(
    ("changes", "wards", "scopes", "units", "all_units"),
    [
        # The row says all: tokens may name fewer.
        ({}, None, BOTH_LEVELS, "", True),
        (UNITS, None, BOTH_LEVELS, "", True),
        (UNITS, ["a", "b"], BOTH_LEVELS, "a b", False),
        (UNITS, "a b", BOTH_LEVELS, "a b", False),
        (UNITS, ["Organization/a", f"{AUDIENCE}/Organization/b", "b"], BOTH_LEVELS, "a b", False),
        (UNITS, [], BOTH_LEVELS, "", False),
        # A claim the row does not name says nothing.
        ({}, ["a"], BOTH_LEVELS, "", True),
        # The row lists units: they bound what tokens name, and are those of system/.
        ({"all_units": None, "units": ["a"]}, None, BOTH_LEVELS, "a", False),
        ({"all_units": None, "units": ["a", "b"], **UNITS}, ["b", "c"], BOTH_LEVELS, "b", False),
        ({"all_units": None, "units": ["a"], **UNITS}, ["c"], BOTH_LEVELS, "", False),
        ({"all_units": None, "units": ["a"], **UNITS}, None, "system/*.rs", "a", False),
        # The row lists none: user/ has those of the token, system/ has none.
        ({"all_units": None, **UNITS}, ["a"], "user/*.rs", "a", False),
        ({"all_units": None, **UNITS}, None, "system/*.rs", "", False),
        ({"all_units": None}, None, BOTH_LEVELS, "", False),
        ({"all_units": False}, None, BOTH_LEVELS, "", False),
    ],
)
def test_units(
    load: Callable[..., TrustedIssuers], changes: dict[str, Any], wards: Any, scopes: str, units: str, all_units: bool
) -> None:
    caller = caller_of(load(**changes), scope=BOTH_LEVELS, wards=wards)
    assert (set(scopes_of(caller).split()), caller.units, caller.all_units) == (
        set(scopes.split()), frozenset(units.split()), all_units,
    )  # fmt: skip


@pytest.mark.parametrize("wards", [7, {"a": 1}, ["a", 7], [""], "", "a  b", ["a b"], ["Patient/a"], ["x" * 65], True])
def test_malformed_units_are_refused(load: Callable[..., TrustedIssuers], wards: Any) -> None:
    assert check_of(load(**UNITS), wards=wards) == "units"


def test_null_units_are_refused(load: Callable[..., TrustedIssuers]) -> None:
    assert judge(load(**UNITS), claims() | {"wards": None}) == CheckResult("units", False)


ALL_ROLES = ["auditor", "importer", "label-manager"]


@pytest.mark.parametrize(
    ("allowed", "named", "claim", "roles"),
    [
        (None, False, ["auditor"], ""),
        (["auditor"], False, None, "auditor"),
        (["auditor"], True, None, ""),
        (["auditor"], True, ["auditor", "importer", "admin"], "auditor"),
        (ALL_ROLES, True, "importer other", "importer"),
        (ALL_ROLES, True, [], ""),
        (None, True, ALL_ROLES, ""),
    ],
)
def test_roles(load: Callable[..., TrustedIssuers], allowed: Any, named: bool, claim: Any, roles: str) -> None:
    issuers = load(roles=allowed, claims={"roles": "groups"} if named else None)
    assert caller_of(issuers, groups=claim).roles == frozenset(roles.split())


@pytest.mark.parametrize("groups", [7, {"auditor": 1}, ["auditor", 7], True])
def test_malformed_roles_are_refused(load: Callable[..., TrustedIssuers], groups: Any) -> None:
    assert check_of(load(roles=ALL_ROLES, claims={"roles": "groups"}), groups=groups) == "roles"


def test_any_id_is_for_the_importer(load: Callable[..., TrustedIssuers]) -> None:
    issuers = load(roles=ALL_ROLES, claims={"roles": "groups"}, id_prefixes=["*", "ehr-"])
    assert caller_of(issuers).id_prefixes == ("ehr-",)
    assert caller_of(issuers, groups=["auditor"]).id_prefixes == ("ehr-",)
    assert caller_of(issuers, groups=["importer"]).id_prefixes == ("*", "ehr-")


@pytest.mark.parametrize(
    ("user", "known"),
    [
        ("Practitioner/x", "Practitioner/x"),
        (f"{AUDIENCE}/Practitioner/x", "Practitioner/x"),
        ("https://other.example.org/fhir/Practitioner/x", None),
        ("Practitioner/x/_history/1", None),
        ("practitioner", None),
        (["Practitioner/x"], None),
        (None, None),
    ],
)
def test_the_person_behind_the_token(load: Callable[..., TrustedIssuers], user: Any, known: str | None) -> None:
    assert caller_of(load(), fhirUser=user).user == known


@pytest.mark.parametrize(
    ("extensions", "purpose"),
    [
        ({"ihe_iua": {"purpose_of_use": [{"system": "urn:x", "code": "TREAT"}]}}, "urn:x|TREAT"),
        ({"ihe_iua": {"purpose_of_use": [{"code": "TREAT"}]}}, None),
        ({"ihe_iua": {"purpose_of_use": []}}, None),
        ({"ihe_iua": {"purpose_of_use": {"system": "urn:x", "code": "TREAT"}}}, None),
        ({"ihe_iua": {"purpose_of_use": ["TREAT"]}}, None),
        ({"ihe_iua": "x"}, None),
        ("x", None),
        (None, None),
    ],
)
def test_the_purpose_of_use(load: Callable[..., TrustedIssuers], extensions: Any, purpose: str | None) -> None:
    assert caller_of(load(), extensions=extensions).purpose == purpose


def test_claims_may_have_other_names(load: Callable[..., TrustedIssuers]) -> None:
    names = {
        "scope": "scp",
        "client": "azp",
        "patient": "launch_patient",
        "user": "who",
        "units": "wards",
        "roles": "groups",
    }
    issuers = load(claims=names, roles=ALL_ROLES)
    renamed = {
        "scope": None, "client_id": None, "scp": ["patient/*.rs"], "azp": "viewer", "launch_patient": "anna",
        "who": "Practitioner/x", "wards": ["a"], "groups": ["auditor"],
    }  # fmt: skip
    caller = caller_of(issuers, **renamed)
    assert (caller.patient, caller.user, caller.units, caller.roles) == (
        "anna", "Practitioner/x", frozenset({"a"}), frozenset({"auditor"}),
    )  # fmt: skip
    assert scopes_of(caller) == "patient/*.rs"
    assert check_of(issuers, azp="viewer", scp=["patient/*.rs"], patient="anna") == "patient"


@pytest.mark.parametrize("jti", [7, "", "x" * 256, ["t"]])
def test_an_odd_jti_is_no_token_id(load: Callable[..., TrustedIssuers], jti: Any) -> None:
    assert caller_of(load(), jti=jti).token_id is None
