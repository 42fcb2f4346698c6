"""The checker on references, extensions, primitives with extensions and contained resources."""

import pytest

from fhirmedia.r4.json_types import JsonObject
from tests.fhir.spoiling import EXTENDED, EXTENSION, Spoil, containing, found, put, rows, within

CAMERA: JsonObject = {"resourceType": "Device", "id": "camera"}

ROWS = [
    *rows(
        "Media",
        (
            "element of R4B",
            within("extension", 0, "extension", 0, valueRatioRange={}),
            "structure",
            "extension[0].extension[0].valueRatioRange",
        ),
        ("reference to a wrong type", within("subject", reference="Encounter/1"), "structure", "subject.reference"),
        ("reference to no type", within("subject", reference="Foo/1"), "value", "subject.reference"),
        ("reference to nothing", within("subject", reference="Patient/"), "value", "subject.reference"),
        ("reference upwards", within("subject", reference="../Patient/1"), "value", "subject.reference"),
        ("reference with a bad id", within("subject", reference="Patient/a_b"), "value", "subject.reference"),
        (
            "conditional reference to a wrong type",
            within("subject", reference="Encounter?x=y"),
            "structure",
            "subject.reference",
        ),
        ("reference type not permitted", within("subject", type="Encounter"), "structure", "subject.type"),
        ("reference types that differ", within("subject", type="Group"), "structure", "subject.type"),
        ("reference to nothing contained", within("subject", reference="#x"), "invariant", "subject.reference"),
        ("extension without url", put(extension=[{"valueCode": "x"}]), "required", "extension[0].url"),
        ("extension without value", put(extension=[{"url": "u"}]), "invariant", "extension[0]"),
        ("extension with value and extensions", within("extension", 0, valueCode="x"), "invariant", "extension[0]"),
        (
            "extension with a null value",
            put(extension=[{"url": "u", "valueCode": None}]),
            "structure",
            "extension[0].value",
        ),
        (
            "extension with an extended url",
            put(extension=[{"url": "u", "_url": {"id": "a"}, "valueCode": "x"}]),
            "structure",
            "extension[0]._url",
        ),
        ("unknown modifier", put(modifierExtension=[EXTENSION]), "extension", "modifierExtension[0]"),
        ("modifier on a datatype", within("subject", modifierExtension=[]), "structure", "subject.modifierExtension"),
        ("extended object", put(_subject={"id": "a"}), "structure", "_subject"),
        ("extended id", put(_id=EXTENDED), "structure", "_id"),
        ("extended type", put(_resourceType={"id": "a"}), "structure", "_resourceType"),
        ("contained in a contained", containing(contained=[{"resourceType": "Basic"}]), "invariant", "contained[0]"),
        ("contained without type", containing(resourceType=None), "structure", "contained[0].resourceType"),
        ("contained of no type", containing(resourceType="Foo"), "structure", "contained[0].resourceType"),
        (
            "contained of an abstract type",
            containing(resourceType="DomainResource"),
            "structure",
            "contained[0].resourceType",
        ),
        (
            "contained of a path",
            containing(resourceType="../codes/event-status"),
            "structure",
            "contained[0].resourceType",
        ),
        ("contained of a number", containing(resourceType=1), "structure", "contained[0].resourceType"),
        (
            "contained that is no object",
            put(contained=["#camera"], device={"reference": "Device/1"}),
            "structure",
            "contained[0]",
        ),
        ("contained that is unsound", containing(status="?"), "code-invalid", "contained[0].status"),
        ("contained with a version", containing(meta={"versionId": "1"}), "invariant", "contained[0].meta"),
        ("contained with labels", containing(meta={"security": [{"code": "R"}]}), "invariant", "contained[0].meta"),
        ("contained nobody refers to", within("device", reference="Device/1"), "invariant", "contained[0]"),
        ("contained of one id", put(contained=[CAMERA, CAMERA]), "invariant", "contained[1]"),
        ("contained of a wrong id", containing(id="#camera"), "value", "contained[0].id"),
    ),
    *rows(
        "Patient",
        (
            "null in an array of primitives",
            within("name", 0, given=["a", None], _given=[None, None]),
            "structure",
            "name[0].given[1]",
        ),
        (
            "array of extensions too short",
            within("name", 0, given=["a", "b"], _given=[EXTENDED]),
            "structure",
            "name[0].given",
        ),
        (
            "extensions of an array in an object",
            within("name", 0, _given={"id": "a"}, given=["a"]),
            "structure",
            "name[0].given",
        ),
        ("only nulls", within("name", 0, given=["a"], _given=[None]), "structure", "name[0].given"),
        ("null extensions without values", put(name=[{"_given": [EXTENDED, None]}]), "structure", "name[0].given[1]"),
    ),
]


@pytest.mark.parametrize(("type", "spoil", "code", "expression"), [pytest.param(*row[1:], id=row[0]) for row in ROWS])
def test_finds(type: str, spoil: Spoil, code: str, expression: str) -> None:
    assert (code, expression) in found(type, spoil)
