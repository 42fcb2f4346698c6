"""The checker on names, JSON types and cardinality: one row per way to get a shape wrong."""

import pytest

from tests.fhir.spoiling import EXTENDED, Spoil, found, put, rows, within, without

ROWS = [
    *rows(
        "Media",
        ("unknown element", put(foo=1), "structure", "foo"),
        ("element of R5", put(recorder={"reference": "Patient/1"}), "structure", "recorder"),
        ("Python's name", put(resource_type="Media"), "structure", ""),
        ("choice without type", put(created="2020"), "structure", "created"),
        ("choice of a wrong type", put(createdInstant="2020"), "structure", "createdInstant"),
        ("two types of a choice", put(createdDateTime="2020"), "structure", "created"),
        ("two types, one only extended", put(_createdDateTime=EXTENDED), "structure", "created"),
        ("missing element", without("status"), "required", "status"),
        ("null object", put(subject=None), "structure", "subject"),
        ("null array", put(identifier=None), "structure", "identifier"),
        ("null in an array of objects", put(identifier=[None]), "structure", "identifier[0]"),
        ("empty array", put(identifier=[]), "structure", "identifier"),
        ("empty object", put(subject={}), "invariant", "subject"),
        ("only an id", put(subject={"id": "a"}), "invariant", "subject"),
        ("array for a single value", put(deviceName=["a"]), "structure", "deviceName"),
        ("array for an object", put(subject=[{"reference": "Patient/1"}]), "structure", "subject"),
        ("object for an array", put(identifier={"value": "1"}), "structure", "identifier"),
        ("object for a primitive", put(deviceName={"a": 1}), "structure", "deviceName"),
        ("string for an object", put(subject="Patient/1"), "structure", "subject"),
        ("nested array", put(identifier=[[{"value": "1"}]]), "structure", "identifier[0]"),
        ("extensions in no object", put(_status="x"), "structure", "status"),
        ("extensions with a value", put(_status={"value": "x", "id": "a"}), "structure", "status.value"),
    ),
    *rows(
        "DocumentReference",
        ("element of R5, inside", within("content", 0, profile=[]), "structure", "content[0].profile"),
        ("missing backbone", without("content"), "required", "content"),
        ("missing inside", within("relatesTo", 0, code=None), "structure", "relatesTo[0].code"),
    ),
    *rows(
        "Patient",
        ("null", put(birthDate=None), "structure", "birthDate"),
    ),
]


@pytest.mark.parametrize(("type", "spoil", "code", "expression"), [pytest.param(*row[1:], id=row[0]) for row in ROWS])
def test_finds(type: str, spoil: Spoil, code: str, expression: str) -> None:
    assert (code, expression) in found(type, spoil)
