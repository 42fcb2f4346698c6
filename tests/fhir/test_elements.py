"""Element tables: what the official definitions say, and the right answers to questions."""

import json

import pytest

from fhirmedia.r4 import elements
from fhirmedia.r4.code_lists import code_test, coding_test, list_systems
from fhirmedia.r4.elements import table
from fhirmedia.r4.profiles_path import profiles
from scripts.make_elements import made_texts
from tests.fhir.official import definitions


def test_tables_are_what_the_definitions_say() -> None:
    folder = profiles() / "r4"
    made = made_texts(definitions())
    committed = {f"{kind}/{file.name}" for kind in ("elements", "codes") for file in (folder / kind).iterdir()}
    assert committed == set(made)
    for path, text in made.items():
        assert folder.joinpath(*path.split("/")).read_text("utf-8") == text, path


def test_every_table_can_be_read() -> None:
    for names in (elements.type_names()["resource"], elements.type_names()["complex"]):
        for name in names:
            read = table(name)
            assert read.type == name
            assert read.is_resource == (name in elements.resource_types())
            assert next(iter(read.elements)) == "id"
            elements.attachment_paths(name)


@pytest.mark.parametrize("name", ["string", "Foo", "", "../codes/event-status", "index", "media"])
def test_what_r4_does_not_have_is_refused(name: str) -> None:
    with pytest.raises(LookupError):
        table(name)


def test_order_and_inheritance() -> None:
    assert list(table("Media").elements)[:10] == [
        "id", "meta", "implicitRules", "language", "text", "contained", "extension", "modifierExtension", "identifier",
        "basedOn",
    ]  # fmt: skip
    assert list(table("Binary").elements) == [
        "id", "meta", "implicitRules", "language", "contentType", "securityContext", "data",
    ]  # fmt: skip
    assert table("Patient").elements["id"].types == ("id",)
    contact = table("Patient").elements["contact"].children
    assert contact is not None
    assert (contact.type, list(contact.elements)[:3]) == ("Patient.contact", ["id", "extension", "modifierExtension"])
    repeat = table("Timing").elements["repeat"].children
    assert repeat is not None
    assert "modifierExtension" not in repeat.elements


def test_an_element_knows_its_facts() -> None:
    status = table("Media").elements["status"]
    assert (status.path, status.types, status.min, status.max) == ("Media.status", ("code",), 1, 1)
    assert (status.binding, status.is_summary, status.is_modifier) == ("event-status", True, True)
    period = table("Media").elements["createdPeriod"]
    assert (period.path, period.choice_base, period.is_array) == ("Media.created", "created", False)
    assert table("Media").elements["subject"].targets[0] == "Patient"
    assert table("Media").elements["partOf"].targets == ()
    assert table("Media").elements["partOf"].is_array


def test_backbones_that_refer_to_others() -> None:
    parameter = table("Parameters").elements["parameter"].children
    assert parameter is not None
    assert parameter.elements["part"].children is parameter
    assert parameter.elements["part"].content_reference == "Parameters.parameter"
    observation = table("Observation")
    component = observation.elements["component"].children
    assert component is not None
    assert component.elements["referenceRange"].children is observation.elements["referenceRange"].children


def test_choices() -> None:
    assert elements.choices(table("Media"), "created") == ("createdDateTime", "createdPeriod")
    assert len(elements.choices(table("Extension"), "value")) == 50
    assert elements.choices(table("Media"), "status") == ()


def test_paths() -> None:
    assert elements.attachment_paths("Media") == ("content",)
    assert elements.attachment_paths("DocumentReference") == ("content.attachment",)
    assert elements.attachment_paths("Communication") == ("payload.contentAttachment",)
    assert elements.attachment_paths("Encounter") == ()


def test_mandatory_and_summary() -> None:
    assert elements.mandatory("Media") == ("status", "content")
    assert elements.mandatory("Patient") == ()
    assert set(elements.summary_elements("Media")) >= {"id", "meta", "implicitRules", "status", "createdPeriod"}
    assert not {"text", "contained", "extension", "note"} & set(elements.summary_elements("Media"))


def test_code_lists() -> None:
    assert code_test("event-status")("completed")
    assert not code_test("event-status")("done")
    assert not code_test("event-status")(None)
    assert code_test("mimetypes")("text/plain; charset=UTF-8")
    assert not code_test("mimetypes")("json")
    assert code_test("formats")("json")
    assert list_systems("event-status") == ("http://hl7.org/fhir/event-status",)
    clinical = coding_test("condition-clinical")
    assert clinical("http://terminology.hl7.org/CodeSystem/condition-clinical", "active")
    assert not clinical("http://example.org", "active")
    assert not clinical(None, "active")
    assert coding_test("ucum-units")("http://unitsofmeasure.org", "anything")


def test_tables_are_facts_of_a_reasonable_size() -> None:
    texts = [file.read_text("utf-8") for kind in ("elements", "codes") for file in (profiles() / "r4" / kind).iterdir()]
    assert sum(map(len, texts)) < 1_000_000
    permitted = {"name", "types", "min", "max", "targets", "binding", "summary", "modifier", "like", "base", "elements"}
    for name in elements.resource_types():
        facts = json.loads((profiles() / "r4" / "elements" / f"{name}.json").read_text("utf-8"))
        for element in facts["elements"]:
            assert set(element) <= permitted
