"""What holds for each entry of a transaction, and for conditions: rights, hidden things, races, the row that tells."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from fhirmedia.access.caller import Caller
from fhirmedia.core.errors import Category
from fhirmedia.core.records import Key
from fhirmedia.custody.proposal import OVERTAKEN
from fhirmedia.interactions.bundle_answers import EntryAnswer
from fhirmedia.interactions.update import update
from tests.access.houses import House, anna, derm, eyes, importer, refused, someone
from tests.access.records import Resource, a, identifier
from tests.audit.rows import by_request
from tests.fhir.bundling import entry, new

UNREADABLE = "The reference does not lead to a resource that may be read."
UNMATCHED = "The reference by search does not lead to a resource that may be read."


def numbered(kind: str, number: str, **other: Any) -> Resource:
    return new(kind, identifier=identifier(number), **other)


def keys(answers: Sequence[EntryAnswer]) -> list[str]:
    return [str(answer.record.key) for answer in answers if answer.record is not None]


def body(answer: EntryAnswer) -> Resource:
    assert answer.record is not None
    found: Resource = json.loads(answer.record.body or b"{}")
    return found


def touches(living: House) -> list[tuple[str, int | None, str]]:
    """Those of the last request's one row."""
    (row,) = by_request(living.path)[living.last_request]
    return [(str(touch.key), touch.version, touch.depth) for touch in row.touched]


def test_each_entry_needs_its_own_right(living: House) -> None:
    there = living.create(derm(), new("Media"))
    key = f"Media/{there['id']}"
    fine = entry("POST", "Encounter", new("Encounter"))
    for scope, bad in (
        ("user/Encounter.c user/Patient.r user/Organization.r user/Media.rud", entry("POST", "Media", new("Media"))),
        ("user/Encounter.c user/Patient.r user/Organization.r user/Media.crd", entry("PUT", key, there)),
        ("user/Encounter.c user/Patient.r user/Organization.r user/Media.cru", entry("DELETE", key)),
        ("user/Encounter.c user/Patient.r user/Organization.r user/Media.cud", entry("GET", key)),
        ("user/Encounter.c user/Patient.r user/Organization.r user/Media.cr", entry("GET", "Media?_id=x")),
    ):
        rows = living.rows()
        with refused(Category.FORBIDDEN) as said:
            living.transaction(derm(scope), fine, bad)
        assert said.issues[0].expression == "Bundle.entry[1]"
        assert living.rows() == rows + 1
    assert living.search(derm(), "Encounter", "_summary=count")["total"] == 0


@pytest.mark.parametrize(
    ("caller", "of", "unit"), [(anna(), "bo", "derm"), (eyes(), "anna", "derm"), (derm(), "anna", "eyes")]
)
def test_nothing_is_made_out_of_reach(living: House, caller: Caller, of: str, unit: str) -> None:
    own = entry("POST", "Media", new("Media", of="anna", unit="eyes" if caller == eyes() else "derm"))
    with refused(Category.FORBIDDEN) as said:
        living.transaction(caller, own, entry("POST", "Media", new("Media", of=of, unit=unit)))
    assert said.issues[0].expression == "Bundle.entry[1]"
    assert living.search(someone(), "Media", "_summary=count")["total"] == 0


def test_another_ones_resource_is_as_absent_as_none(living: House) -> None:
    theirs = living.put(importer(), a("Media", "theirs", of="bo", identifier=identifier("n")))
    said = []
    for id in ("theirs", "never"):
        for bad in (
            entry("PUT", f"Media/{id}", a("Media", id)),
            entry("DELETE", f"Media/{id}"),
            entry("GET", f"Media/{id}"),
            entry("POST", "Media", new("Media", content={"url": f"Binary/{id}"})),
        ):
            with pytest.raises(Exception) as failure:
                living.transaction(anna(), entry("POST", "Media", new("Media")), bad)
            said.append((id, failure.value.category, failure.value.issues))
    half = len(said) // 2
    assert [each[1:] for each in said[:half]] == [each[1:] for each in said[half:]]
    for reference in ("Patient/bo", "Patient/never"):
        with refused(Category.UNPROCESSABLE) as told:
            living.transaction(derm("user/Media.cruds"), entry("POST", "Media", new("Media", of=reference[8:])))
        assert told.text == UNREADABLE
    assert living.read(importer(), "Media/theirs") == theirs
    assert living.search(someone(), "Media", "_summary=count")["total"] == 1


def test_a_hidden_match_is_none(living: House) -> None:
    """Creates, updates, deletes and references are done as if what is hidden were not there."""
    hidden = living.put(importer(), a("Media", "hidden", unit="eyes", identifier=identifier("n")))
    made = living.transaction(derm(), entry("POST", "Media", numbered("Media", "n"), ifNoneExist="identifier=n"))
    assert [answer.change for answer in made] == ["created"]
    again = living.transaction(derm(), entry("PUT", "Media?identifier=n", numbered("Media", "n")))
    assert [answer.change for answer in again] == ["updated"]
    assert keys(again) == keys(made)
    assert keys(living.transaction(derm(), entry("DELETE", "Media?identifier=n"))) == keys(made)
    with refused(Category.NOT_FOUND):
        living.transaction(derm(), entry("DELETE", "Media?identifier=n"))
    referring = entry("POST", "Media", new("Media", partOf=[{"reference": "Media?identifier=n"}]))
    with refused(Category.UNPROCESSABLE) as said:
        living.transaction(derm(), referring)
    assert said.text == UNMATCHED
    assert living.read(importer(), "Media/hidden") == hidden
    everything = living.transaction(someone(), referring)
    assert body(everything[0])["partOf"] == [{"reference": "Media/hidden"}]


def test_what_a_transaction_makes_out_of_sight_is_not_found_by_it(living: House) -> None:
    """A client that may create what it may not read does not refer to it by a search."""
    blind = someone("user/Media.crus user/Encounter.cs user/Patient.r user/Organization.r")
    bundle = [
        entry("POST", "Encounter", numbered("Encounter", "e")),
        entry("POST", "Media", new("Media", encounter={"reference": "Encounter?identifier=e"})),
    ]
    with refused(Category.FORBIDDEN):
        living.transaction(blind, *bundle)
    units = derm("user/*.cruds?status=finished user/*.cruds?status=completed user/Patient.r user/Organization.r")
    with refused(Category.FORBIDDEN):
        living.transaction(units, *bundle[:1], entry("POST", "Media", new("Media", status="in-progress")))


@pytest.mark.parametrize("scope", ["user/Media.cud", "user/Media.crud", "user/Media.cuds"])
def test_a_condition_needs_the_right_to_look(living: House, scope: str) -> None:
    caller = derm(f"{scope} user/Patient.r user/Organization.r")
    for conditional in (
        entry("POST", "Media", numbered("Media", "n"), ifNoneExist="identifier=n"),
        entry("PUT", "Media?identifier=n", numbered("Media", "n")),
        entry("DELETE", "Media?identifier=n"),
        entry("POST", "Media", new("Media", partOf=[{"reference": "Media?identifier=n"}])),
    ):
        with refused(Category.FORBIDDEN):
            living.transaction(caller, conditional)


def test_the_row_names_what_was_written_found_and_read(living: House) -> None:
    media = living.put(importer(), a("Media", "m", identifier=identifier("m")))
    living.put(importer(), a("Media", "gone", identifier=identifier("gone")))
    living.put(importer(), a("Patient", "bo", identifier=identifier("p")))
    done = living.transaction(
        someone(),
        entry("POST", "Media", numbered("Media", "new") | {"subject": {"reference": "Patient?identifier=p"}}),
        entry("POST", "Media", new("Media"), ifNoneExist="identifier=m"),
        entry("DELETE", "Media?identifier=gone"),
        entry("GET", "Patient/anna"),
        entry("GET", "Media?identifier=m"),
    )
    made = keys(done)[0]
    assert sorted(touches(living)) == sorted(
        [
            (made, 1, "written"),
            ("Media/gone", 2, "written"),
            (f"Media/{media['id']}", 1, "opened"),
            ("Patient/bo", 2, "listed"),
            ("Patient/anna", 1, "opened"),
            (f"Media/{media['id']}", 1, "listed"),
        ]
    )
    (row,) = by_request(living.path)[living.last_request]
    assert set(row.patients) == {"anna", "bo"}


def test_a_refusal_names_what_was_attempted_found_and_read(living: House) -> None:
    for id in ("one", "other"):
        living.put(importer(), a("Media", id, identifier=identifier("n")))
    with refused(Category.PRECONDITION) as said:
        living.transaction(derm(), entry("DELETE", "Media?identifier=n"), entry("PUT", "Media/x", a("Media", "x")))
    assert said.issues[0].expression == "Bundle.entry[0].request.url"
    attempted = {("Media/one", 1, "refused"), ("Media/other", 1, "refused"), ("Media/x", None, "refused")}
    assert set(touches(living)) == attempted
    with refused(Category.NOT_FOUND):
        living.transaction(derm(), entry("GET", "Media/one"), entry("GET", "Media/never"))
    assert set(touches(living)) == {("Media/one", 1, "refused"), ("Media/never", None, "refused")}


def test_a_reading_transaction_sees_only_what_its_caller_may(living: House) -> None:
    living.put(importer(), a("Media", "mine"))
    living.put(importer(), a("Media", "hidden", unit="eyes"))
    seen = living.transaction(derm(), entry("GET", "Media?_total=accurate"), entry("POST", "Media", new("Media")))
    bundle = json.loads(seen[0].bundle or b"{}")
    assert bundle["total"] == 2
    assert {each["resource"]["id"] for each in bundle["entry"]} == {"mine", keys(seen)[0].partition("/")[2]}
    with refused(Category.NOT_FOUND):
        living.transaction(derm(), entry("GET", "Media/hidden"))


def test_labels_and_facts_are_those_of_single_writes(living: House) -> None:
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    living.put(importer(), a("Media", "m", meta={"security": [label]}))
    with refused(Category.FORBIDDEN):
        living.transaction(derm(), entry("PUT", "Media/m", a("Media", "m", meta={"security": [label | {"code": "N"}]})))
    kept = living.transaction(derm(), entry("PUT", "Media/m", a("Media", "m")))
    assert body(kept[0])["meta"]["security"] == [label]


def test_references_are_checked_when_all_is_there_unless_the_importer_writes(living: House) -> None:
    circle = [
        entry("POST", "Media", new("Media") | {"subject": {"reference": "urn:uuid:p"}}),
        entry("POST", "Patient", {"resourceType": "Patient"}, "urn:uuid:p"),
    ]
    assert len(living.transaction(derm(), *circle)) == 2
    lost = entry("POST", "Media", new("Media", of="never"))
    with refused(Category.UNPROCESSABLE) as said:
        living.transaction(derm(), circle[1], lost)
    assert [issue.expression for issue in said.issues] == ["Bundle.entry[1].resource.subject"]
    assert len(living.transaction(importer(), circle[1], lost)) == 2


def test_a_deleted_patient_may_be_deleted_again(living: House) -> None:
    living.delete(importer(), "Patient/bo")
    living.put(importer(), a("Media", "m", of="bo"))
    again = living.transaction(importer(), entry("DELETE", "Patient/bo"))
    assert again[0].record is not None
    assert again[0].record.version == 2


def test_an_id_that_is_taken_is_not_taken_again_by_a_condition(living: House) -> None:
    """What is deleted may begin anew under its id, as by any update; what is hidden looks absent."""
    living.put(importer(), a("Media", "was"))
    living.delete(importer(), "Media/was")
    chosen = numbered("Media", "n") | {"id": "was"}
    with refused(Category.UNPROCESSABLE):
        living.transaction(derm(), entry("PUT", "Media?identifier=n", chosen | {"id": "never"}))
    revived = living.transaction(derm(), entry("PUT", "Media?identifier=n", chosen))
    assert revived[0].record is not None
    assert (revived[0].change, revived[0].record.version) == ("created", 3)
    living.put(importer(), a("Media", "other"))
    with refused(Category.CONFLICT) as said:
        living.transaction(derm(), entry("PUT", "Media?identifier=m", numbered("Media", "m") | {"id": "other"}))
    assert said.issues[0].expression == "Bundle.entry[0].resource.id"
    living.put(importer(), a("Media", "hidden", unit="eyes"))
    with refused(Category.UNPROCESSABLE):
        living.transaction(derm(), entry("PUT", "Media?identifier=m", numbered("Media", "m") | {"id": "hidden"}))


PATCH = {
    "resourceType": "Parameters",
    "parameter": [
        {
            "name": "operation",
            "part": [
                {"name": "type", "valueCode": "add"},
                {"name": "path", "valueString": "Media"},
                {"name": "name", "valueString": "deviceName"},
                {"name": "value", "valueString": "camera"},
            ],
        }
    ],
}


@pytest.mark.parametrize("url", ["Media/m", "Media?identifier=n"])
def test_a_patch_is_of_what_was_read(living: House, url: str) -> None:
    """Whoever comes in between makes it fail, with nothing stored."""
    living.put(importer(), a("Media", "m", identifier=identifier("n")))
    between = _between(living)
    between.append(a("Media", "m", identifier=identifier("n"), width=3))
    with refused(Category.CONFLICT) as said:
        living.transaction(derm(), entry("PATCH", url, PATCH), entry("POST", "Media", new("Media")))
    assert said.issues[0].code == OVERTAKEN
    assert living.read(derm(), "Media/m")["meta"]["versionId"] == "2"
    patched = living.transaction(derm(), entry("PATCH", url, PATCH))
    assert body(patched[0])["deviceName"] == "camera"


def test_a_patch_by_condition_is_of_what_the_condition_still_finds(living: House) -> None:
    """The resource itself may stand as it was: it is what the condition means that has changed."""
    for patient, number in (("p", "n"), ("q", "other")):
        living.put(importer(), a("Patient", patient, identifier=identifier(number)))
        living.put(importer(), a("Media", f"of-{patient}", of=patient))
    between = _between(living)
    between += [a("Patient", "p", identifier=identifier("gone")), a("Patient", "q", identifier=identifier("n"))]
    with refused(Category.CONFLICT) as said:
        living.transaction(derm(), entry("PATCH", "Media?patient.identifier=n", PATCH))
    assert said.issues[0].code == OVERTAKEN
    between.append(a("Patient", "q", identifier=identifier("gone")))
    with refused(Category.NOT_FOUND):
        living.transaction(derm(), entry("PATCH", "Media?patient.identifier=n", PATCH))
    for media in ("of-p", "of-q"):
        assert living.read(derm(), f"Media/{media}")["meta"]["versionId"] == "1"


def _between(living: House) -> list[Resource]:
    """To be filled with what somebody else writes just before the next write of the House is decided."""
    store = living.stores.records
    between: list[Resource] = []

    async def write(work: Any) -> Any:
        other = House(living.archive, living.path, living.hands, living._loop)
        while between:
            resource = between.pop(0)
            key = Key(resource["resourceType"], resource["id"])
            await update(other.archive, other.asker(importer()), key, resource, expected=None)
        return await store.write(work)

    living.replace_stores(records=_Between(store, write))
    return between


class _Between:
    """A record store where something is written before each write."""

    def __init__(self, store: Any, write: Any) -> None:
        self._store = store
        self.write = write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)
