"""Who may read a patient's access log, judged without HTTP: the patient, by a token that reads it, and auditors."""

import json
from typing import Any

import pytest

from fhirmedia.access.caller import Caller
from fhirmedia.access.policy import own_log_grant
from fhirmedia.core.errors import Category
from fhirmedia.core.records import Key
from fhirmedia.interactions.access_log import access_log
from fhirmedia.interactions.explain_search import explain
from fhirmedia.interactions.search import Where
from tests.access.houses import House, anna, derm, importer, refused, someone
from tests.access.records import a
from tests.audit.rows import disclosures

AUDIT = "AuditEvent"


def auditor() -> Caller:
    return someone("user/AuditEvent.rs", name="auditor", roles=frozenset({"auditor"}))


def read_log(living: House, caller: Caller, patient: str = "anna", query: str = "") -> list[dict[str, Any]]:
    parameters = [tuple(each.split("=")) for each in query.split("&") if each]
    asker = living.asker(caller, query=query, about=f"Patient/{patient}")
    work = access_log(living.archive, asker, Key("Patient", patient), parameters, language="en")  # type: ignore[arg-type]  # because split is a list
    found: list[dict[str, Any]] = json.loads(living.run(work))["parameter"]
    return found


def test_the_patient_and_auditors_read_it(living: House) -> None:
    living.put(importer(), a("Media", "m1"))
    living.put(importer(), a("Media", "m2", of="bo"))
    living.read(derm(), "Media/m1")
    for caller in (anna(), auditor()):
        told = json.dumps(read_log(living, caller))
        assert "Media/m1" in told
        assert "Media/m2" not in told
        row = list(disclosures(living.path))[-1]
        assert (row.interaction, row.patients) == ("access-log", ("anna",))
        assert [(str(touch.key), touch.depth) for touch in row.touched] == [("Patient/anna", "listed")]


@pytest.mark.parametrize(
    "caller",
    [
        anna(patient="bo"),
        anna("patient/Media.rs"),
        anna("patient/Patient.s"),
        anna("user/*.cruds"),
        someone(),
        derm(),
        someone("system/*.cruds"),
    ],
    ids=[
        "another patient",
        "no right to itself",
        "no right to read",
        "staff with her record open",
        "staff",
        "a unit",
        "a system",
    ],
)
def test_nobody_else_does(living: House, caller: Caller) -> None:
    with refused(Category.NOT_FOUND):
        read_log(living, caller)
    row = list(disclosures(living.path))[-1]
    assert (row.outcome, [(str(touch.key), touch.depth) for touch in row.touched]) == (
        "4",
        [("Patient/anna", "refused")],
    )


def test_the_grant_of_a_patient_is_about_the_log_alone() -> None:
    grant = own_log_grant(anna(), "anna")
    assert grant.listable((AUDIT, "Media", "Patient")) == {AUDIT}
    assert not grant.may("update", AUDIT)
    assert own_log_grant(anna(), "bo").rules == ()
    assert own_log_grant(someone("user/Patient.rs"), "anna").rules == ()


def test_pages_of_a_log_follow_each_other(living: House) -> None:
    for number in range(3):
        living.put(importer(), a("Media", f"m{number}"))
    first = read_log(living, anna(), query="_count=2")
    assert [each["name"] for each in first] == ["entry", "entry", "next"]
    following = first[-1]["valueUri"].partition("?")[2]
    second = read_log(living, anna(), query=following)
    assert second[0]["name"] == "entry"
    assert second[0] not in first


def test_only_operators_and_the_program_see_a_plan(living: House) -> None:
    def plan(caller: Caller) -> str | None:
        asked = [("patient", "anna")]
        return living.run(explain(living.archive, living.asker(caller), Where("Media"), asked, lenient=False)).plan

    living.put(importer(), a("Media", "m1"))
    assert plan(someone()) is None
    assert plan(someone(roles=frozenset({"operator"}))) is not None
    assert plan(Caller.system("tests")) is not None
    with refused(Category.FORBIDDEN):
        plan(someone("user/Patient.rs"))
