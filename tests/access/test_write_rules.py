"""What a write must prove: references it hangs on, ids it may choose, and that both versions are the caller's."""

import json
from typing import Any

import pytest

from fhirmedia.core.errors import Category
from tests.access.houses import (
    BASE,
    House,
    anna,
    derm,
    eyes,
    ids,
    importer,
    refused,
    registry,
    someone,
)
from tests.access.records import ABOUT, CLINICAL, OWNING_UNIT, Resource, a, identifier
from tests.audit.rows import disclosures

UNREADABLE = "The reference does not lead to a resource that may be read."
NO_SUCH_ID = "There is no such resource, and this client may not choose its id."
NOT_THERE = "There is no such resource."


def without(resource: Resource, *names: str) -> Resource:
    return {name: value for name, value in resource.items() if name not in names}


def subject(patient: str) -> Resource:
    return {"subject": {"reference": patient}}


def owner(organization: str) -> Resource:
    return {"extension": [{"url": OWNING_UNIT, "valueReference": {"reference": organization}}]}


@pytest.mark.parametrize("kind", [*CLINICAL, *ABOUT])
def test_a_patient_must_be_there(living: House, kind: str) -> None:
    for patient in ("Patient/never", f"{BASE}/Patient/never"):
        text = json.dumps(a(kind, "x", of="never")).replace("Patient/never", patient)
        with refused(Category.UNPROCESSABLE) as said:
            living.create(derm(), json.loads(text))
        assert said.text == UNREADABLE
        assert said.issues[0].expression.startswith(f"{kind}.")
    living.create(derm(), a(kind, "x"))


def test_a_deleted_patient_is_not_there(living: House) -> None:
    living.delete(importer(), "Patient/bo")
    with refused(Category.UNPROCESSABLE) as said:
        living.create(derm(), a("Media", "x", of="bo"))
    assert said.text == UNREADABLE


def test_hidden_and_absent_patients_are_refused_alike(living: House) -> None:
    """A caller whose scopes do not reach Patients is told the same of one that is there."""
    narrow = derm("user/Media.cruds")
    texts = set()
    for patient in ("anna", "never"):
        with refused(Category.UNPROCESSABLE) as said:
            living.create(narrow, a("Media", "x", of=patient))
        texts.add((said.text, said.issues[0].code, said.issues[0].expression))
    assert texts == {(UNREADABLE, "not-found", "Media.subject")}


def test_every_patient_of_a_letter_must_be_there(living: House) -> None:
    letter = a("DocumentReference", "x", author=[{"reference": "Patient/never"}])
    with refused(Category.UNPROCESSABLE) as said:
        living.create(derm(), letter)
    assert [issue.expression for issue in said.issues] == ["DocumentReference.author"]


def test_the_owning_unit_must_be_there(living: House) -> None:
    with refused(Category.UNPROCESSABLE) as said:
        living.create(someone(), a("Media", "x", unit="never"))
    assert said.text == UNREADABLE
    assert "extension" in said.issues[0].expression
    living.delete(importer(), "Organization/eyes")
    with refused(Category.UNPROCESSABLE):
        living.create(someone(), a("Media", "x", unit="eyes"))


def test_a_token_names_its_own_patient_and_units(living: House) -> None:
    """What the token itself vouches for may be referred to without a scope for it."""
    living.create(anna("patient/Media.c"), without(a("Media", "x"), "extension"))
    with refused(Category.UNPROCESSABLE) as said:
        living.create(anna("patient/Media.c"), a("Media", "x"))
    assert "extension" in said.issues[0].expression
    with refused(Category.UNPROCESSABLE) as said:
        living.create(derm("user/Media.c"), a("Media", "x"))
    assert [issue.expression for issue in said.issues] == ["Media.subject"]
    living.delete(importer(), "Organization/derm")
    with refused(Category.UNPROCESSABLE):
        living.create(derm("user/Media.c user/Patient.r"), a("Media", "x"))


def test_other_references_may_dangle(living: House) -> None:
    dangling = {
        "encounter": {"reference": "Encounter/never"},
        "operator": {"reference": "Practitioner/never"},
        "basedOn": [{"reference": "ServiceRequest/never"}],
    }
    living.create(derm(), a("Media", "x", **dangling))
    abroad = subject("https://other.example.org/fhir/Patient/7")
    living.create(derm(), a("Media", "x", **abroad))


def test_only_the_importer_leaves_references_unchecked(living: House) -> None:
    living.put(importer(), a("Media", "early", of="never", unit="never"))
    row = next(row for row in disclosures(living.path) if row.touched and row.touched[0].key.id == "early")
    assert row.roles == ("importer",)
    with refused(Category.UNPROCESSABLE):
        living.put(someone(), a("Media", "early", of="never", unit="never"))


def test_create_ignores_the_id_sent(living: House) -> None:
    living.put(importer(), a("Media", "taken", unit="eyes"))
    made = living.create(derm(), a("Media", "taken"))
    assert made["id"] != "taken"
    assert made["meta"]["versionId"] == "1"


def test_a_client_chooses_ids_within_its_prefixes_only(living: House) -> None:
    mirror = derm(id_prefixes=("ehr-",))
    made = living.put(mirror, a("Media", "ehr-1"))
    assert (made["id"], made["meta"]["versionId"]) == ("ehr-1", "1")
    living.upload(mirror, b"x", key="Binary/ehr-b")
    with refused(Category.NOT_ALLOWED) as said:
        living.put(mirror, a("Media", "other-1"))
    assert said.text == NO_SUCH_ID
    with refused(Category.NOT_ALLOWED):
        living.upload(mirror, b"x", key="Binary/other-b")
    with refused(Category.PRECONDITION):
        living.put(mirror, a("Media", "ehr-2"), expected=1)
    with refused(Category.PRECONDITION):
        living.upload(mirror, b"x", key="Binary/ehr-c", expected=1)


def test_choosing_an_id_takes_create_and_update(living: House) -> None:
    for scope in ("user/Media.u user/Patient.r", "user/Media.c user/Patient.r"):
        with refused(Category.FORBIDDEN):
            living.put(derm(scope, id_prefixes=("*",)), a("Media", "new"))
    for scope in ("user/Binary.u", "user/Binary.c"):
        with refused(Category.FORBIDDEN):
            living.upload(derm(scope, id_prefixes=("*",)), b"x", key="Binary/new")
    living.put(derm("user/Media.cu user/Patient.r", id_prefixes=("*",)), a("Media", "new"))
    living.upload(derm("user/Binary.cu", id_prefixes=("*",)), b"x", key="Binary/new")


def test_hidden_and_absent_ids_are_refused_alike(living: House) -> None:
    living.put(importer(), a("Media", "hidden", unit="eyes"))
    said = []
    for id in ("hidden", "never"):
        for caller in (derm(), anna(patient="bo")):
            with refused(Category.NOT_ALLOWED) as update:
                living.put(caller, a("Media", id))
            with refused(Category.NOT_FOUND) as delete:
                living.delete(caller, f"Media/{id}")
            with refused(Category.NOT_FOUND) as read:
                living.read(caller, f"Media/{id}")
            said.append((update.text, delete.text, read.text))
    assert set(said) == {(NO_SUCH_ID, NOT_THERE, NOT_THERE)}
    assert living.read(importer(), "Media/hidden")["meta"]["versionId"] == "1"


def test_an_id_within_a_prefix_that_is_taken_is_not_given(living: House) -> None:
    """The one place where a hidden id differs from an absent one: whoever may choose ids cannot choose this one."""
    living.put(importer(), a("Media", "hidden", unit="eyes"))
    with refused(Category.NOT_ALLOWED) as said:
        living.put(derm(id_prefixes=("*",)), a("Media", "hidden"))
    assert said.text == NO_SUCH_ID
    assert living.read(eyes(), "Media/hidden")["meta"]["versionId"] == "1"


def test_the_new_version_must_be_the_callers_too(living: House) -> None:
    living.put(importer(), a("Media", "m"))
    for body in (a("Media", "m", unit="eyes"), a("Media", "m", unit=None)):
        with refused(Category.FORBIDDEN):
            living.put(derm(), body)
    for body in (a("Media", "m", of="bo"), a("Media", "m", of=None)):
        with refused(Category.FORBIDDEN):
            living.put(anna(), body)
    with refused(Category.FORBIDDEN):
        living.create(anna(), a("Media", "x", of="bo"))
    with refused(Category.FORBIDDEN):
        living.create(derm(), a("Media", "x", unit="eyes"))
    granular = someone("user/Media.cruds?status=completed user/Patient.r user/Organization.r")
    with refused(Category.FORBIDDEN):
        living.put(granular, a("Media", "m", status="in-progress"))
    assert living.read(derm(), "Media/m")["meta"]["versionId"] == "1"


def test_the_old_version_must_be_the_callers_too(living: House) -> None:
    """Nobody takes over what is not theirs by writing themselves into it."""
    living.put(importer(), a("Media", "m", of="bo", unit="eyes"))
    for caller in (derm(), anna()):
        with refused(Category.NOT_ALLOWED):
            living.put(caller, a("Media", "m"))
        with refused(Category.NOT_FOUND):
            living.delete(caller, "Media/m")


def test_who_may_read_may_not_therefore_change(living: House) -> None:
    living.put(importer(), a("Media", "m"))
    mixed = someone("user/Media.rs user/Media.cud?status=in-progress user/Patient.r user/Organization.r")
    with refused(Category.FORBIDDEN):
        living.put(mixed, a("Media", "m", status="in-progress"))
    with refused(Category.FORBIDDEN):
        living.delete(mixed, "Media/m")
    for scope in ("user/Media.rs", "user/Media.cr", "user/Media.cdr"):
        with refused(Category.FORBIDDEN):
            living.put(derm(f"{scope} user/Patient.r"), a("Media", "m"))
    for scope in ("user/Media.rs", "user/Media.cru"):
        with refused(Category.FORBIDDEN):
            living.delete(derm(scope), "Media/m")
    for scope in ("user/Media.ruds", "user/Media.r"):
        with refused(Category.FORBIDDEN):
            living.create(derm(f"{scope} user/Patient.r"), a("Media", "m"))
    with refused(Category.FORBIDDEN):
        living.upload(derm("user/Media.ruds"), b"x")


def test_who_may_only_write_can_do_that(living: House) -> None:
    """`.write` of SMART v1 is create, update and delete without read or search."""
    writer = derm("user/Media.write user/Patient.r")
    made = living.create(writer, a("Media", "x"))
    assert living.put(writer, a("Media", made["id"], note=[{"text": "again"}])) == {}
    assert living.read(derm(), f"Media/{made['id']}")["meta"]["versionId"] == "2"
    with refused(Category.FORBIDDEN):
        living.read(writer, f"Media/{made['id']}")
    assert living.delete(writer, f"Media/{made['id']}") == 3
    living.put(importer(), a("Media", "hidden", unit="eyes"))
    with refused(Category.NOT_ALLOWED):
        living.put(writer, a("Media", "hidden"))
    with refused(Category.NOT_FOUND):
        living.delete(writer, "Media/hidden")


def test_versions_are_compared(living: House) -> None:
    living.put(importer(), a("Media", "m"))
    for wrong in (2, 99):
        with refused(Category.PRECONDITION):
            living.put(derm(), a("Media", "m"), expected=wrong)
        with refused(Category.PRECONDITION):
            living.delete(derm(), "Media/m", expected=wrong)
    living.put(derm(), a("Media", "m"), expected=1)
    assert living.delete(derm(), "Media/m", expected=2) == 3


def test_deleting(living: House) -> None:
    living.put(importer(), a("Media", "m"))
    assert living.delete(derm(), "Media/m") == 2
    assert living.delete(derm(), "Media/m") == 2, "a second time changes nothing"
    with refused(Category.GONE):
        living.read(derm(), "Media/m")
    with refused(Category.GONE):
        living.vread(derm(), "Media/m", 2)
    assert living.vread(derm(), "Media/m", 1)["meta"]["versionId"] == "1"
    for caller in (eyes(), anna(patient="bo")):
        with refused(Category.NOT_FOUND):
            living.read(caller, "Media/m")
        with refused(Category.NOT_FOUND):
            living.delete(caller, "Media/m")
        with refused(Category.NOT_FOUND):
            living.vread(caller, "Media/m", 1)
        with refused(Category.NOT_FOUND):
            living.history(caller, "Media/m")
    assert ids(living.search(derm(), "Media")) == []


def test_a_patient_with_records_stays(living: House) -> None:
    living.put(importer(), a("Media", "anna"))
    with refused(Category.CONFLICT):
        living.delete(derm(), "Patient/anna")
    with refused(Category.CONFLICT):
        living.delete(anna(), "Patient/anna")
    assert living.delete(derm(), "Media/anna") == 2, "a record that shares the id of its patient is no patient"
    assert living.delete(derm(), "Patient/anna") == 2


def test_a_letter_that_names_a_patient_keeps_it(living: House) -> None:
    living.put(importer(), a("DocumentReference", "d", author=[{"reference": "Patient/bo"}]))
    with refused(Category.CONFLICT):
        living.delete(someone(), "Patient/bo")
    living.put(importer(), a("Patient", "linked", link=[{"other": {"reference": "Patient/bo"}, "type": "seealso"}]))
    living.delete(someone(), "DocumentReference/d")
    with refused(Category.CONFLICT):
        living.delete(someone(), "Patient/bo")


def test_a_token_of_a_patient_who_is_not_held_is_none(living: House) -> None:
    for caller in (anna(patient="never"), someone("user/*.cruds patient/*.cruds", patient="never")):
        with refused(Category.UNAUTHENTICATED):
            living.read(caller, "Organization/derm")
    living.delete(importer(), "Patient/bo")
    with refused(Category.UNAUTHENTICATED):
        living.read(anna(patient="bo"), "Organization/derm")
    living.read(anna(), "Organization/derm")


def test_a_department_is_tagged_once(living: House) -> None:
    made = living.put(importer(), a("Media", "m"))
    assert [tag["code"] for tag in made["meta"]["tag"]] == ["derm"]
    again = living.put(derm(), made)
    assert [tag["code"] for tag in again["meta"]["tag"]] == ["derm"]
    other: dict[str, Any] = {"tag": [{"system": "urn:own", "code": "x"}]}
    both = living.put(derm(), a("Media", "m", meta=other))
    assert [tag["code"] for tag in both["meta"]["tag"]] == ["x", "derm"]
    assert living.put(importer(), a("Media", "nobodys", unit=None))["meta"].get("tag") is None


def test_an_encounter_of_somebody_else_is_not_told_by_a_tag(living: House) -> None:
    living.put(
        importer(),
        a("Encounter", "hers"),
    )
    living.put(importer(), a("Encounter", "his", of="bo", unit="eyes"))
    bare = without(a("Media", "x"), "extension")

    def naming(visit: str) -> Resource:
        return bare | {"encounter": {"reference": f"Encounter/{visit}"}}

    assert living.create(anna(), naming("hers"))["meta"]["tag"]
    texts = set()
    for visit, caller in (("his", anna()), ("never", anna()), ("hers", anna("patient/Media.cruds patient/Patient.r"))):
        with refused(Category.UNPROCESSABLE) as said:
            living.create(caller, naming(visit))
        assert [issue.expression for issue in said.issues] == ["Media.encounter"]
        texts.add(said.text)
    assert len(texts) == 1
    owned = a("Media", "x", encounter={"reference": "Encounter/hers"})
    living.create(anna("patient/Media.cruds patient/Patient.r patient/Organization.r"), owned)
    living.put(importer(), naming("never") | {"id": "imported"})


def test_projected_types_are_only_read(living: House) -> None:
    event = {"resourceType": "AuditEvent", "id": "x"}
    for act in (living.create, living.put):
        with refused(Category.NOT_ALLOWED):
            act(importer(), event)
    with refused(Category.NOT_ALLOWED):
        living.delete(importer(), "AuditEvent/changes-1-1")
    assert registry().served("AuditEvent").interactions == {"read", "search-type"}


def test_identifiers_need_not_be_unique_across_what_is_visible(living: House) -> None:
    """No rule of uniqueness tells of records the caller may not see."""
    living.put(importer(), a("Media", "hidden", unit="eyes", identifier=identifier("n-1")))
    living.create(derm(), a("Media", "x", identifier=identifier("n-1")))


def test_a_patient_may_refer_to_itself_as_it_is_made(living: House) -> None:
    link = [{"other": {"reference": "Patient/ehr-1"}, "type": "seealso"}]
    living.put(derm(id_prefixes=("ehr-",)), a("Patient", "ehr-1", link=link))
    living.put(derm("user/Patient.cu", id_prefixes=("ehr-",)), a("Patient", "ehr-1", link=link))
    link = [{"other": {"reference": "Patient/ehr-3"}, "type": "seealso"}]
    with refused(Category.UNPROCESSABLE):
        living.put(derm(id_prefixes=("ehr-",)), a("Patient", "ehr-2", link=link))


def test_what_comes_back_is_created_again(living: House) -> None:
    living.put(importer(), a("Media", "m"))
    living.delete(derm(), "Media/m")
    again = living.put(derm(), a("Media", "m"))
    assert again["meta"]["versionId"] == "3"
    changed = living.put(derm(), a("Media", "m", note=[{"text": "more"}]))
    assert changed["meta"]["versionId"] == "4"
    told = [entry["response"]["status"][:3] for entry in living.history(derm(), "Media/m")["entry"]]
    assert told == ["200", "201", "204", "201"]


def test_a_record_that_changes_patients_is_told_to_both(living: House) -> None:
    living.put(importer(), a("Media", "m"))
    living.put(derm(), a("Media", "m", of="bo"))
    (told,) = [row for row in disclosures(living.path) if row.request_id == living.last_request]
    assert [set(touch.patients) for touch in told.touched] == [{"anna", "bo"}]
    assert set(told.patients) == {"anna", "bo"}
