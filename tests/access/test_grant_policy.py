"""From a Caller to its Grant: levels, units, roles, directory types, Binaries, granular scopes, labels."""

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from fhirmedia.access.caller import Caller
from fhirmedia.access.grant import ACTIONS, Action, Grant
from fhirmedia.access.policy import grant_for, scope_parser
from fhirmedia.access.scopes import render
from fhirmedia.access.security_labels import CONFIDENTIALITY_SYSTEM, security_to_store
from fhirmedia.access.unsettled import SETTLED, Unsettled
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts, Key
from fhirmedia.r4.registry import Registry, load_registry

HER_PHOTO = Facts(patients=("anna",), unit="skin", enterprise="north", tokens={"kind": ("photo",)})
HIS_PHOTO = replace(HER_PHOTO, patients=("bo",))
BOTH = replace(HER_PHOTO, patients=("anna", "bo"))
NOBODYS = replace(HER_PHOTO, patients=())
OTHER_UNIT = replace(HER_PHOTO, unit="eyes")
NO_UNIT = replace(HER_PHOTO, unit=None)
OTHER_ENTERPRISE = replace(HER_PHOTO, enterprise="south")
HERSELF, HIMSELF = Facts(patients=("anna",)), Facts(patients=("bo",))
NO_FACTS = Facts()

MEDIA, EVENT, BINARY = Key("Media", "m"), Key("AuditEvent", "e"), Key("Binary", "b")
ANNA, BO, CLINIC = Key("Patient", "anna"), Key("Patient", "bo"), Key("Organization", "skin")


@cache
def registry() -> Registry:
    return load_registry()


def caller(scopes: str, **changes: Any) -> Caller:
    return Caller("https://login.example.org|x", "viewer", scope_parser(registry())(scopes), **changes)


def grant(scopes: str, **changes: Any) -> Grant:
    return grant_for(caller(scopes, **changes), registry())


def actions(given: Grant, key: Key, facts: Facts) -> str:
    return "".join(sorted(action[0] for action in ACTIONS if given.admits(action, key, facts)))


def mays(given: Grant, type: str) -> str:
    return "".join(sorted(action[0] for action in ACTIONS if given.may(action, type)))


def test_no_scope_gives_nothing() -> None:
    given = grant_for(Caller("s", "c", (), patient="anna", all_units=True, roles=frozenset({"auditor"})), registry())
    assert given.rules == ()


def test_patient_scopes_reach_records_of_that_patient_alone() -> None:
    given = grant("patient/*.cruds", patient="anna")
    assert actions(given, MEDIA, HER_PHOTO) == "cdrsu"
    for facts in (HIS_PHOTO, BOTH, NOBODYS, NO_FACTS):
        assert actions(given, MEDIA, facts) == ""
    assert actions(given, MEDIA, replace(HER_PHOTO, unit=None, enterprise=None)) == "cdrsu"
    assert actions(given, ANNA, HERSELF) == "cdrsu"
    assert actions(given, BO, HIMSELF) == ""


def test_patient_scopes_without_a_patient_give_nothing() -> None:
    assert only_definitions(grant("patient/*.cruds", all_units=True, units=frozenset({"skin"})))


def test_patient_scopes_may_read_directory_types_by_id() -> None:
    given = grant("patient/*.cruds", patient="anna")
    for key in (CLINIC, Key("Practitioner", "x")):
        assert actions(given, key, NO_FACTS) == "r"
        assert mays(given, key.type) == "r"
    assert grant("patient/Organization.cuds", patient="anna").rules == ()
    directories = {name for name, served in registry().types.items() if served.directory} - {"Patient"}
    assert given.listable(registry().types) == registry().types.keys() - directories - {"Binary", "AuditEvent"}


@pytest.mark.parametrize("level", ["user", "system"])
def test_user_and_system_scopes_reach_their_units(level: str) -> None:
    given = grant(f"{level}/*.cruds", units=frozenset({"skin", "ears"}))
    assert actions(given, MEDIA, HER_PHOTO) == "cdrsu"
    assert actions(given, MEDIA, HIS_PHOTO) == "cdrsu"
    assert actions(given, MEDIA, OTHER_UNIT) == ""
    assert actions(given, MEDIA, NO_UNIT) == ""
    assert actions(given, ANNA, HERSELF) == "cdrsu"
    assert actions(given, CLINIC, NO_FACTS) == "cdrsu"


@pytest.mark.parametrize("level", ["user", "system"])
def test_all_units_are_all_records(level: str) -> None:
    given = grant(f"{level}/*.cruds", all_units=True)
    for facts in (HER_PHOTO, OTHER_UNIT, NO_UNIT, NOBODYS, OTHER_ENTERPRISE):
        assert actions(given, MEDIA, facts) == "cdrsu"


@pytest.mark.parametrize("level", ["user", "system"])
def test_without_units_nothing_is_reached(level: str) -> None:
    given = grant(f"{level}/*.cruds", patient="anna", roles=frozenset({"auditor"}))
    assert only_definitions(given)


DEFINITIONS = {
    "CodeSystem", "CompartmentDefinition", "OperationDefinition", "SearchParameter", "StructureDefinition", "ValueSet",
}  # fmt: skip


def only_definitions(given: Grant) -> bool:
    """Whether nothing is granted but reading what says the same to everybody."""
    return all(rule.types == DEFINITIONS and rule.actions == {"read", "search"} for rule in given.rules)


@pytest.mark.parametrize("level", ["patient", "user", "system"])
def test_definitions_are_read_by_whoever_has_the_scope_and_never_written(level: str) -> None:
    given = grant(f"{level}/*.cruds")
    for name in DEFINITIONS:
        assert actions(given, Key(name, "x"), NO_FACTS) == mays(given, name) == "rs"
    assert not any(given.may(action, "Binary") for action in ACTIONS)
    assert actions(grant(f"{level}/SearchParameter.r"), Key("SearchParameter", "x"), NO_FACTS) == "r"
    assert grant(f"{level}/SearchParameter.cud").rules == ()
    assert not grant(f"{level}/Media.cruds").may("read", "SearchParameter")


def test_what_is_about_a_patient_outside_every_compartment_is_theirs_too() -> None:
    given = grant("patient/*.cruds", patient="anna")
    for key in (Key("Task", "x"), Key("Device", "x")):
        assert actions(given, key, HER_PHOTO) == "cdrsu"
        assert actions(given, key, HIS_PHOTO) == actions(given, key, NOBODYS) == ""


@pytest.mark.parametrize("level", ["user", "system"])
@pytest.mark.parametrize("reach", [{"all_units": True}, {"units": frozenset({"skin"})}])
def test_an_enterprise_bounds_the_units(level: str, reach: dict[str, Any]) -> None:
    given = grant(f"{level}/*.cruds", enterprise="north", **reach)
    assert actions(given, MEDIA, HER_PHOTO) == "cdrsu"
    assert actions(given, MEDIA, OTHER_ENTERPRISE) == ""
    assert actions(given, MEDIA, replace(HER_PHOTO, enterprise=None)) == ""
    assert actions(given, ANNA, HERSELF) == "cdrsu"


def test_an_enterprise_does_not_bound_a_patient_scope() -> None:
    given = grant("patient/*.rs", patient="anna", enterprise="north")
    assert actions(given, MEDIA, OTHER_ENTERPRISE) == "rs"


@pytest.mark.parametrize(
    ("letters", "admitted"), [("c", "c"), ("r", "r"), ("u", "u"), ("d", "d"), ("s", "s"), ("rs", "rs")]
)
def test_letters_are_actions(letters: str, admitted: str) -> None:
    given = grant(f"user/Media.{letters}", all_units=True)
    assert actions(given, MEDIA, HER_PHOTO) == admitted
    assert actions(given, Key("DocumentReference", "d"), HER_PHOTO) == ""


def test_levels_unite() -> None:
    given = grant("patient/Media.r user/Media.s", patient="anna", units=frozenset({"skin"}))
    assert actions(given, MEDIA, HER_PHOTO) == "rs"
    assert actions(given, MEDIA, OTHER_UNIT) == "r"
    assert actions(given, MEDIA, HIS_PHOTO) == "s"


@pytest.mark.parametrize("scopes", ["user/*.cruds", "user/AuditEvent.rs", "system/*.rs", "patient/*.rs"])
def test_audit_events_take_the_auditor(scopes: str) -> None:
    facts = Facts(patients=("anna",))
    reach: dict[str, Any] = {"all_units": True, "patient": "anna"}
    for roles in ((), ("label-manager", "importer")):
        assert mays(grant(scopes, roles=frozenset(roles), **reach), "AuditEvent") == ""
    given = grant(scopes, roles=frozenset({"auditor"}), **reach)
    assert given.admits("read", EVENT, facts)
    assert given.admits("search", EVENT, facts)


def test_the_auditor_still_takes_a_scope() -> None:
    assert mays(grant("user/Media.rs", all_units=True, roles=frozenset({"auditor"})), "AuditEvent") == ""


def test_roles_alone_reach_nothing_else() -> None:
    plain, all_roles = (
        grant("user/Media.rs", all_units=True, roles=roles)
        for roles in (frozenset[str](), frozenset({"auditor", "label-manager", "importer"}))
    )
    assert plain == all_roles


def test_granular_scopes_ask_for_a_token() -> None:
    given = grant("user/Media.cruds?kind=photo", all_units=True)
    assert actions(given, MEDIA, HER_PHOTO) == "cdrsu"
    assert actions(given, MEDIA, replace(HER_PHOTO, tokens={"kind": ("film",)})) == ""
    assert actions(given, MEDIA, replace(HER_PHOTO, tokens={})) == ""
    both = grant("patient/Media.rs?kind=photo,film&status=completed", patient="anna")
    assert actions(both, MEDIA, HER_PHOTO) == ""
    assert actions(both, MEDIA, replace(HER_PHOTO, tokens={"kind": ("film",), "status": ("completed",)})) == "rs"
    assert actions(both, MEDIA, replace(HIS_PHOTO, tokens={"kind": ("film",), "status": ("completed",)})) == ""


def test_a_granular_star_reaches_the_types_on_which_its_parameter_works() -> None:
    given = grant("user/*.rs?modality=CT", all_units=True)
    assert given.listable(registry().types) == {"Media", "ImagingStudy"}
    assert mays(given, "Patient") == ""


def test_a_parameter_that_no_longer_works_grants_nothing() -> None:
    granted = caller("user/Media.rs?kind=photo user/Media.d", all_units=True)
    media = registry().types["Media"]
    kept = {code: each for code, each in media.parameters.items() if code != "kind"}
    unscopable = {**media.parameters, "kind": replace(media.parameters["kind"], scopable=False)}
    for parameters in (kept, unscopable):
        changed = replace(registry(), types={**registry().types, "Media": replace(media, parameters=parameters)})
        assert actions(grant_for(granted, changed), MEDIA, HER_PHOTO) == "d"
        assert [render(each) for each in scope_parser(changed)("user/Media.rs?kind=photo user/Media.d")] == [
            "user/Media.d"
        ]


def test_scopes_on_types_that_are_not_served_give_nothing() -> None:
    granted = caller("user/Media.rs user/Patient.rs", all_units=True)
    fewer = replace(registry(), types={"Patient": registry().types["Patient"]})
    assert grant_for(granted, fewer).listable(registry().types) == {"Patient"}


@pytest.mark.parametrize(
    ("scopes", "mays_binary"),
    [
        ("user/Media.r", "r"),
        ("user/Media.c", "cr"),
        ("user/Media.u", "u"),
        ("user/Media.d", "d"),
        ("user/Media.s", ""),
        ("user/DocumentReference.cu", "cru"),
        ("user/Binary.c", "cr"),
        ("user/Binary.r", "r"),
        ("user/Binary.s", ""),
        ("user/Binary.cruds", "cdru"),
        ("user/*.cruds", "cdru"),
        ("user/Encounter.cruds", ""),
        ("user/ImagingStudy.cruds", ""),
        ("user/AuditEvent.rs", ""),
        ("user/Binary.cruds?kind=photo", ""),
    ],
)
def test_binaries_are_dealt_with_by_way_of_what_holds_them(scopes: str, mays_binary: str) -> None:
    given = grant(scopes, all_units=True)
    assert mays(given, "Binary") == mays_binary
    assert sum("Binary" in rule.types for rule in given.rules) == bool(mays_binary)
    assert mays(grant(scopes), "Binary") == ""
    for facts in (NO_FACTS, Facts(owner="https://login.example.org|x|viewer"), HER_PHOTO):
        assert actions(given, BINARY, facts) == ""


def test_a_patient_may_upload() -> None:
    assert mays(grant("patient/Media.cr", patient="anna"), "Binary") == "cr"
    assert mays(grant("patient/Binary.c"), "Binary") == ""


def test_binaries_are_never_listed() -> None:
    with pytest.raises(Failure):
        grant("user/*.cruds", all_units=True).narrow(_everything(), types=("Binary",))


def _everything() -> Any:
    from fhirmedia.r4.query import EVERYTHING

    return EVERYTHING


def test_the_program_itself_may_do_everything() -> None:
    given = grant_for(Caller.system("a test"), registry())
    for name in registry().types:
        assert actions(given, Key(name, "x"), NO_FACTS) == "cdrsu"
    assert not given.may("read", "Consent")


@pytest.mark.parametrize("action", ACTIONS)
def test_a_caller_named_system_is_not_the_program(action: Action) -> None:
    given = grant_for(Caller("system", "fhirmedia", ()), registry())
    assert not any(given.may(action, name) for name in registry().types)


# Labels


def conf(code: str) -> dict[str, Any]:
    return {"system": CONFIDENTIALITY_SYSTEM, "code": code}


PSY, HIV = ({"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": code} for code in ("PSY", "HIV"))
ANYONE, MANAGER = Caller("s", "c", ()), Caller("s", "c", (), roles=frozenset({"label-manager"}))


def store(old: Any, new: Any, who: Caller = ANYONE) -> Any:
    return security_to_store(old, new, caller=who)


@pytest.mark.parametrize("old", [None, [], [conf("R")], [PSY, conf("V")]])
@pytest.mark.parametrize("who", [ANYONE, MANAGER])
def test_a_body_without_labels_keeps_the_old_ones(old: Any, who: Caller) -> None:
    assert store(old, None, who) == old


TIGHTER = [
    ([], [conf("N")]),
    ([], [conf("R")]),
    ([], [PSY]),
    ([conf("N")], [conf("R")]),
    ([conf("R")], [conf("V")]),
    ([conf("U")], [conf("L")]),
    ([conf("L")], [PSY]),
    ([PSY], [PSY, HIV]),
    ([PSY], [{**PSY, "display": "psychiatry"}]),
    ([conf("R"), conf("N")], [conf("R")]),
    ([PSY, conf("R")], [conf("R"), PSY]),
    ([{"display": "only words"}], [{"display": "only words"}]),
    ([conf("V")], [conf("unheard-of")]),
]


@pytest.mark.parametrize(("old", "new"), TIGHTER)
def test_anyone_may_tighten(old: Any, new: Any) -> None:
    assert store(old, new) == new


LOWER = [
    ([conf("R")], [conf("N")]),
    ([conf("V")], [conf("R")]),
    ([conf("N")], [conf("U")]),
    ([], [conf("L")]),
    ([], [conf("U"), PSY]),
    ([conf("R")], [PSY]),
    ([PSY], [HIV]),
    ([PSY, HIV], [PSY, conf("V")]),
    ([PSY], [{**PSY, "system": "http://example.org"}]),
    ([PSY], [{"code": "PSY"}]),
    ([conf("unheard-of")], [conf("R")]),
    ([{"display": "only words"}], [{"display": "other words"}]),
    ([conf("R")], [{"system": "http://example.org", "code": "R"}]),
    ([conf("R")], ["R"]),
    ([PSY], ["a code"]),
    ([PSY], [{"system": PSY["system"], "code": ["PSY"]}]),
]


@pytest.mark.parametrize(("old", "new"), LOWER)
def test_lowering_takes_the_label_manager(old: Any, new: Any) -> None:
    with pytest.raises(Failure) as caught:
        store(old, new)
    assert caught.value.category is Category.FORBIDDEN
    for roles in (("auditor",), ("importer",)):
        with pytest.raises(Failure):
            store(old, new, Caller("s", "c", (), roles=frozenset(roles)))
    assert store(old, new, MANAGER) == new


@pytest.mark.parametrize("new", [[conf("U")], [conf("R")], [PSY]])
def test_the_first_version_says_what_it_is(new: Any) -> None:
    assert store(None, new) == new


def test_every_step_of_confidentiality_is_in_order() -> None:
    steps: Iterable[str] = "ULMNRV"
    for low, high in zip(steps, list(steps)[1:], strict=False):
        assert store([conf(low)], [conf(high)]) == [conf(high)]
        with pytest.raises(Failure):
            store([conf(high)], [conf(low)])


def test_where_nothing_waits_nobody_is_limited() -> None:
    bindings: list[dict[str, Any]] = [{"units": frozenset({"skin"})}, {"enterprise": "north"}]
    bindings.append({"all_units": True, "enterprise": "north"})
    bound = [caller("user/*.rs", **each) for each in bindings]
    assert [SETTLED.limits(each) for each in bound] == [(), (), ()]
    encounters, units = Unsettled(encounters=frozenset({"Encounter/e"})), Unsettled(units=frozenset({"u"}))
    assert [len(encounters.limits(each)) for each in bound] == [1, 1, 1]
    assert [len(units.limits(each)) for each in bound] == [0, 1, 1]
    everywhere = caller("user/*.rs", all_units=True)
    assert encounters.limits(everywhere) == units.limits(everywhere) == ()
