"""FHIRPath Patch: what each operation does, where paths may lead, what is refused and how it is named."""

from copy import deepcopy
from typing import Any

import pytest

from fhirmedia.core.errors import Category, Failure
from fhirmedia.r4.checker import check
from fhirmedia.r4.fhirpath_patch import read_fhirpath_patch
from fhirmedia.r4.json_patch import OPERATIONS_MAX
from fhirmedia.r4.patch_path import VISITS_MAX, parse_path
from tests.quick import quickly

NOTE = "http://example.org/note"
MASKED = {"extension": [{"url": NOTE, "valueString": "masked"}]}
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "extension": [{"url": NOTE, "valueString": "x"}],
    "identifier": [{"system": "urn:x:a", "value": "1"}, {"use": "old", "system": "urn:x:b", "value": "2"}],
    "active": True,
    "name": [
        {"use": "official", "family": "Berg", "given": ["Ida", None], "_given": [None, MASKED]},
        {"use": "nickname", "given": ["Idun"]},
    ],
    "gender": "female",
    "birthDate": "1969-11-13",
    "_birthDate": {"extension": [{"url": NOTE, "valueString": "morning"}]},
    "deceasedBoolean": False,
    "contact": [{"name": {"text": "E. Berg"}}],
    "contained": [{"resourceType": "Organization", "id": "o", "name": "x"}],
    "managingOrganization": {"reference": "#o"},
}


def operation(type: str, path: str, *parts: dict[str, Any], **plain: str | int) -> dict[str, Any]:
    kinds = {"path": "valueString", "name": "valueString", "type": "valueCode"}
    stated = {"type": type, "path": path, **plain}
    listed = [{"name": name, kinds.get(name, "valueInteger"): value} for name, value in stated.items()]
    return {"name": "operation", "part": [*listed, *parts]}


def value(**members: Any) -> dict[str, Any]:
    return {"name": "value", **members}


ANNOTATED = value(part=[{"name": "url", "valueUri": NOTE}, {"name": "value", "valueString": "y"}])


def applied(*operations: dict[str, Any], type: str = "Patient", resource: Any = None) -> Any:
    listed: Any = {"parameter": list(operations)} if operations else {}
    patch = read_fhirpath_patch({"resourceType": "Parameters", **listed}, type=type)
    once = patch.apply(deepcopy(resource or PATIENT))
    assert patch.apply(deepcopy(resource or PATIENT)) == once
    return once


def refused(*operations: dict[str, Any], type: str = "Patient") -> Failure:
    with pytest.raises(Failure) as failure:
        applied(*operations, type=type)
    return failure.value


def changed(**members: Any) -> dict[str, Any]:
    """The patient with these members; None takes one away."""
    after = deepcopy(PATIENT) | members
    return {name: one for name, one in after.items() if one is not None}


BERG, IDUN = PATIENT["name"]
FIRST, SECOND = PATIENT["identifier"]
THIRD = {"system": "urn:x:c", "value": "3"}

DONE: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("add a primitive", operation("add", "Patient", value(valueCode="nb"), name="language"), changed(language="nb")),
    ("add to a list", operation("add", "Patient", value(valueIdentifier=THIRD), name="identifier"),
     changed(identifier=[FIRST, SECOND, THIRD])),
    ("add a list", operation("add", "Patient", value(valueContactPoint={"rank": 2}), name="telecom"),
     changed(telecom=[{"rank": 2}])),
    ("add below", operation("add", "Patient.contact[0].name", value(valueString="Eva"), name="given"),
     changed(contact=[{"name": {"text": "E. Berg", "given": ["Eva"]}}])),
    ("add beside extensions only", operation("add", "Patient.name[0]", value(valueString="Z"), name="given"),
     changed(name=[{**BERG, "given": ["Ida", None, "Z"], "_given": [None, MASKED, None]}, IDUN])),
    ("add a choice", operation("add", "Patient", value(valueBoolean=True), name="multipleBirth"),
     changed(multipleBirthBoolean=True)),
    ("add an extension to a primitive",
     operation("add", "Patient.gender", ANNOTATED, name="extension"),
     changed(_gender={"extension": [{"url": NOTE, "valueString": "y"}]})),
    ("add an extension to one of several primitives",
     operation("add", "Patient.name[1].given[0]", ANNOTATED, name="extension"),
     changed(name=[BERG, {**IDUN, "_given": [{"extension": [{"url": NOTE, "valueString": "y"}]}]}])),
    ("add a backbone", operation("add", "Patient",
     {"name": "value", "part": [{"name": "name", "valueHumanName": {"text": "A"}},
                                {"name": "telecom", "valueContactPoint": {"system": "fax", "value": "1"}},
                                {"name": "telecom", "valueContactPoint": {"system": "fax", "value": "2"}}]},
     name="contact"),
     changed(contact=[*PATIENT["contact"], {"name": {"text": "A"}, "telecom": [
         {"system": "fax", "value": "1"}, {"system": "fax", "value": "2"}]}])),
    ("add a contained resource", operation("add", "Patient",
     {"name": "value", "resource": {"resourceType": "Basic", "id": "b", "code": {"text": "x"}}}, name="contained"),
     changed(contained=[*PATIENT["contained"], {"resourceType": "Basic", "id": "b", "code": {"text": "x"}}])),
    ("insert first", operation("insert", "Patient.identifier", value(valueIdentifier=THIRD), index=0),
     changed(identifier=[THIRD, FIRST, SECOND])),
    ("insert last", operation("insert", "Patient.identifier", value(valueIdentifier=THIRD), index=2),
     changed(identifier=[FIRST, SECOND, THIRD])),
    ("insert into nothing", operation("insert", "Patient.telecom", value(valueContactPoint={"rank": 1}), index=0),
     changed(telecom=[{"rank": 1}])),
    ("insert among extended", operation("insert", "Patient.name[0].given", value(valueString="A"), index=1),
     changed(name=[{**BERG, "given": ["Ida", "A", None], "_given": [None, None, MASKED]}, IDUN])),
    ("delete a primitive with its extensions", operation("delete", "Patient.birthDate"),
     changed(birthDate=None, _birthDate=None)),
    ("delete one of a list", operation("delete", "Patient.identifier[0]"), changed(identifier=[SECOND])),
    ("delete the only one", operation("delete", "Patient.contact[0]"), changed(contact=None)),
    ("delete among extended", operation("delete", "Patient.name[0].given[1]"),
     changed(name=[{"use": "official", "family": "Berg", "given": ["Ida"]}, IDUN])),
    ("delete a choice", operation("delete", "Patient.deceased"), changed(deceasedBoolean=None)),
    ("delete by where", operation("delete", "Patient.name.where(use = 'nickname')"), changed(name=[BERG])),
    ("delete by a boolean", operation("delete", "Patient.where(active = true).gender"), changed(gender=None)),
    ("delete the last", operation("delete", "Patient.identifier.last()"), changed(identifier=[FIRST])),
    ("delete the first, without the type", operation("delete", "identifier.first()"), changed(identifier=[SECOND])),
    ("delete an extension", operation("delete", f"Patient.extension('{NOTE}')"), changed(extension=None)),
    ("delete an extension of a primitive", operation("delete", f"Patient.birthDate.extension('{NOTE}')"),
     changed(_birthDate={})),
    ("delete in a contained resource", operation("delete", "Patient.contained[0].name"),
     changed(contained=[{"resourceType": "Organization", "id": "o"}])),
    ("replace a primitive and what it extended", operation("replace", "Patient.birthDate", value(valueDate="1970")),
     changed(birthDate="1970", _birthDate=None)),
    ("replace one of a list", operation("replace", "Patient.identifier[1]", value(valueIdentifier=THIRD)),
     changed(identifier=[FIRST, THIRD])),
    ("replace below where",
     operation("replace", "Patient.identifier.where(system = 'urn:x:b').value", value(valueString="9")),
     changed(identifier=[FIRST, {**SECOND, "value": "9"}])),
    ("replace an extended one", operation("replace", "Patient.name[0].given[1]", value(valueString="A")),
     changed(name=[{"use": "official", "family": "Berg", "given": ["Ida", "A"]}, IDUN])),
    ("replace a choice by another type", operation("replace", "Patient.deceased", value(valueDateTime="2020")),
     changed(deceasedBoolean=None, deceasedDateTime="2020")),
    ("move", operation("move", "Patient.identifier", source=1, destination=0), changed(identifier=[SECOND, FIRST])),
    ("move extended ones", operation("move", "Patient.name[0].given", source=0, destination=1),
     changed(name=[{**BERG, "given": [None, "Ida"], "_given": [MASKED, None]}, IDUN])),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "expected"), [pytest.param(*row[1:], id=row[0]) for row in DONE])
def test_done(sent: dict[str, Any], expected: dict[str, Any]) -> None:
    assert applied(sent) == expected


def test_operations_follow_each_other() -> None:
    after = applied(
        operation("add", "Patient", value(valueCode="nb"), name="language"),
        operation("replace", "Patient.language", value(valueCode="nn")),
        operation("delete", "Patient.identifier[0]"),
        operation("delete", "Patient.identifier[0]"),
    )
    assert after == changed(language="nn", identifier=None)
    assert check(after, type="Patient") == []


TEXT = value(valueString="x")
UNPROCESSABLE: list[tuple[str, dict[str, Any], str]] = [
    ("nothing there", operation("replace", "Patient.maritalStatus", value(valueCodeableConcept={"text": "x"})),
     "leads to nothing"),
    ("nothing to delete", operation("delete", "Patient.photo"), "leads to nothing"),
    ("nothing at that index", operation("delete", "Patient.name[2]"), "leads to nothing"),
    ("several", operation("delete", "Patient.name"), "leads to several"),
    ("no such element", operation("delete", "Patient.nonsense"), "names nonsense, which R4 Patient"),
    ("no such element below", operation("delete", "Patient.name[0].given[0].x"), "names x, which R4 Element"),
    ("an element of another type", operation("delete", "Media.status"), "names Media, which R4 Patient"),
    ("no such element to add", operation("add", "Patient", TEXT, name="nonsense"), "names nonsense"),
    ("added twice", operation("add", "Patient", value(valueCode="male"), name="gender"), "does not repeat"),
    ("a second form of a choice", operation("add", "Patient", value(valueDateTime="2020"), name="deceased"),
     "does not repeat"),
    ("a type the choice has not", operation("replace", "Patient.deceased", TEXT), "a type the element cannot have"),
    ("the whole resource deleted", operation("delete", "Patient"), "whole resource"),
    ("the whole resource replaced", operation("replace", "Patient", TEXT), "whole resource"),
    ("an insert into no list", operation("insert", "Patient.gender", TEXT, index=0), "does not repeat"),
    ("an insert at an index", operation("insert", "Patient.name[0]", TEXT, index=0), "a last step"),
    ("an insert past the end", operation("insert", "Patient.name", value(valueHumanName={"text": "x"}), index=3),
     "index outside"),
    ("an insert before the first", operation("insert", "Patient.name", value(valueHumanName={"text": "x"}), index=-1),
     "index outside"),
    ("a move from outside", operation("move", "Patient.name", source=2, destination=0), "source or destination"),
    ("a move to outside", operation("move", "Patient.name", source=0, destination=2), "source or destination"),
    ("a move of nothing", operation("move", "Patient.photo", source=0, destination=0), "leads to nothing"),
    ("parts for a primitive", operation("add", "Patient", {"name": "value", "part": [{"name": "x", "valueCode": "a"}]},
     name="language"), "no value"),
    ("a part twice", operation("add", "Patient", {"name": "value", "part": [
        {"name": "gender", "valueCode": "male"}, {"name": "gender", "valueCode": "male"}]}, name="contact"), "twice"),
    ("extensions of the value", operation("add", "Patient",
     {"name": "value", "valueCode": "nb", "_valueCode": {"id": "x"}}, name="language"), "extensions of its own"),
    ("add to a text", operation("add", "Patient.gender", TEXT, name="nonsense"), "names nonsense"),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "text"), [pytest.param(*row[1:], id=row[0]) for row in UNPROCESSABLE])
def test_refused(sent: dict[str, Any], text: str) -> None:
    failure = refused(sent)
    assert failure.category is Category.UNPROCESSABLE
    assert text in failure.issues[0].text


UNSUPPORTED = {
    "Patient.name.matches('a')": "matches()",
    "Patient.name.ofType(HumanName)": "ofType()",
    "Patient.name.where(exists())": "where()",
    "Patient.name.where(use != 'x')": "where() with something other than name = literal",
    "Patient.name.where(use = 'x' and family = 'y')": "where() with something other than name = literal",
    "Patient.name.where(period.start = '2020')": "where() with something other than name = literal",
    "Patient.extension(url)": "extension() without one text",
    "Patient.name.first(1)": "first() with an argument",
    "Patient.name | Patient.contact": "a sign",
    "Patient.name[-1]": "a sign",
    "Patient.name[x]": "a sign",
    "Patient..name": "a sign",
    "Patient.": "a sign",
    "": "an empty path",
    "%resource.name": "a sign",
    ".".join(["Patient"] + ["contact"] * 60): "a sign",
}


@pytest.mark.parametrize("path", [path for path in UNSUPPORTED if path])
def test_outside_the_subset_is_refused_by_name(path: str) -> None:
    failure = refused(operation("delete", path))
    assert failure.category is Category.UNPROCESSABLE
    assert UNSUPPORTED[path] in failure.issues[0].text
    assert failure.issues[0].code == "not-supported"


PATH = {"name": "path", "valueString": "Patient"}
DELETE = {"name": "type", "valueCode": "delete"}
MALFORMED: list[dict[str, Any]] = [
    {"name": "change", "part": [DELETE, PATH]},
    {"name": "operation"},
    {"name": "operation", "part": [PATH]},
    {"name": "operation", "part": [{"name": "type", "valueCode": "swap"}, PATH]},
    {"name": "operation", "part": [DELETE]},
    {"name": "operation", "part": [DELETE, PATH, PATH]},
    {"name": "operation", "part": [DELETE, PATH, {"name": "index", "valueInteger": 1}]},
    {"name": "operation", "part": [DELETE, {"name": "path", "valueInteger": 1}]},
    {"name": "operation", "part": [{"name": "type", "valueCode": "add"}, PATH, TEXT,
                                   {"name": "name", "valueBoolean": True}]},
    {"name": "operation", "part": [{"name": "type", "valueCode": "replace"}, PATH, TEXT, TEXT]},
    {"name": "operation", "part": [{"name": "type", "valueCode": "insert"}, PATH, TEXT,
                                   {"name": "index", "valueBoolean": True}]},
    {"name": "operation", "part": [{"name": "type", "valueCode": "replace"}, PATH,
                                   value(valueHumanName={"nonsense": "x"})]},
    {"part": []},
]  # fmt: skip


@pytest.mark.parametrize("sent", MALFORMED)
def test_malformed(sent: dict[str, Any]) -> None:
    assert refused(sent).category is Category.INVALID


def test_no_parameters_is_no_change_and_another_resource_is_refused() -> None:
    assert applied() == PATIENT
    with pytest.raises(Failure) as failure:
        read_fhirpath_patch({"resourceType": "Patient"}, type="Patient")
    assert failure.value.category is Category.INVALID


def test_work_is_bounded() -> None:
    many = [operation("delete", "Patient.photo")] * (OPERATIONS_MAX + 1)
    assert refused(*many).category is Category.TOO_LARGE
    wide: Any = {"resourceType": "Patient", "identifier": [{"value": "1"}] * 10_000}
    patch = read_fhirpath_patch(
        {"resourceType": "Parameters", "parameter": [
            *[operation("insert", "Patient.identifier.where(value = '1').first().extension",
                        ANNOTATED, index=0)] * (VISITS_MAX // 10_000)]},
        type="Patient",
    )  # fmt: skip
    with pytest.raises(Failure) as failure:
        patch.apply(wide)
    assert failure.value.category is Category.TOO_COSTLY


@pytest.mark.parametrize("path", ["Patient.name.where(" + " " * 100_000, "Patient.name" + ".given" * 200])
def test_paths_too_long_to_be_meant(path: str) -> None:
    def refuse() -> None:
        with pytest.raises(Failure, match="more than 1000 characters"):
            parse_path(path, type="Patient")

    quickly(refuse)


def test_blanks_in_a_call() -> None:
    assert parse_path("name.where( use = 'a' ).first( )", type="Patient") == parse_path(
        "name.where(use='a').first()", type="Patient"
    )


def test_a_part_without_a_name_is_no_operation() -> None:
    nameless = {"_name": {"extension": [{"url": NOTE, "valueString": "x"}]}, "valueString": "y"}
    failure = refused(operation("delete", "Patient.gender", nameless))
    assert (failure.category, failure.issues[0].code) == (Category.INVALID, "structure")
