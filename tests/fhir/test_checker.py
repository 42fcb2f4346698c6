"""The strict checker, one row per rule: what is spoilt, which code and which element the finding names."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from fhirmedia.r4.checker import check
from fhirmedia.r4.checker_findings import ISSUES_MAX
from tests.fhir.samples import TYPES, sample

Spoil = Callable[[Any], object]


def of(type: str, spoil: Spoil) -> list[tuple[str, str | None]]:
    """Code and expression of each finding in a sample that was spoilt."""
    resource = sample(type)
    spoil(resource)
    return [(issue.code, issue.expression) for issue in check(resource, type=type)]


def put(**members: object) -> Spoil:
    """Sets root members."""
    return lambda resource: resource.update(members)


def within(*path: str | int, **members: object) -> Spoil:
    """Sets members of the object at a path."""

    def spoil(resource: Any) -> None:
        node = resource
        for step in path:
            node = node[step]
        node.update(members)

    return spoil


def without(*names: str) -> Spoil:
    """Takes root members away."""

    def spoil(resource: Any) -> None:
        for name in names:
            del resource[name]

    return spoil


XHTML = "http://www.w3.org/1999/xhtml"


def div(inside: str) -> Spoil:
    """Gives the resource a narrative."""
    return put(text={"status": "generated", "div": f'<div xmlns="{XHTML}">{inside}</div>'})


ROWS: list[tuple[str, str, Spoil, str, str]] = [
    ("unknown element", "Media", put(foo=1), "structure", "Media.foo"),
    ("element of R5", "Media", put(recorder={"reference": "Patient/1"}), "structure", "Media.recorder"),
    ("element of R5, inside", "DocumentReference", within("content", 0, profile=[]), "structure", "DocumentReference.content[0].profile"),
    ("element of R4B", "Media", within("extension", 0, "extension", 0, valueRatioRange={}), "structure", "Media.extension[0].extension[0].valueRatioRange"),
    ("Python's name", "Media", put(resource_type="Media"), "structure", "Media"),
    ("choice without type", "Media", put(created="2020"), "structure", "Media.created"),
    ("choice of a wrong type", "Media", put(createdInstant="2020"), "structure", "Media.createdInstant"),
    ("two types of a choice", "Media", put(createdDateTime="2020"), "structure", "Media.created"),
    ("two types, one only extended", "Media", put(_createdDateTime={"id": "a", "extension": [{"url": "u", "valueCode": "x"}]}), "structure", "Media.created"),
    ("missing element", "Media", without("status"), "required", "Media.status"),
    ("missing backbone", "DocumentReference", without("content"), "required", "DocumentReference.content"),
    ("missing inside", "DocumentReference", within("relatesTo", 0, code=None), "structure", "DocumentReference.relatesTo[0].code"),
    ("null", "Patient", put(birthDate=None), "structure", "Patient.birthDate"),
    ("null object", "Media", put(subject=None), "structure", "Media.subject"),
    ("null array", "Media", put(identifier=None), "structure", "Media.identifier"),
    ("null in an array of objects", "Media", put(identifier=[None]), "structure", "Media.identifier[0]"),
    ("null in an array of primitives", "Patient", within("name", 0, given=["a", None], _given=[None, None]), "structure", "Patient.name[0].given[1]"),
    ("empty array", "Media", put(identifier=[]), "structure", "Media.identifier"),
    ("empty object", "Media", put(subject={}), "invariant", "Media.subject"),
    ("only an id", "Media", put(subject={"id": "a"}), "invariant", "Media.subject"),
    ("empty string", "Media", put(deviceName=""), "value", "Media.deviceName"),
    ("array for a single value", "Media", put(deviceName=["a"]), "structure", "Media.deviceName"),
    ("array for an object", "Media", put(subject=[{"reference": "Patient/1"}]), "structure", "Media.subject"),
    ("object for an array", "Media", put(identifier={"value": "1"}), "structure", "Media.identifier"),
    ("object for a primitive", "Media", put(deviceName={"a": 1}), "structure", "Media.deviceName"),
    ("string for an object", "Media", put(subject="Patient/1"), "structure", "Media.subject"),
    ("nested array", "Media", put(identifier=[[{"value": "1"}]]), "structure", "Media.identifier[0]"),
    ("text for a boolean", "Patient", put(active="true"), "value", "Patient.active"),
    ("number for a boolean", "Patient", put(active=1), "value", "Patient.active"),
    ("boolean for a number", "Media", put(height=True), "value", "Media.height"),
    ("text for a number", "Media", put(height="480"), "value", "Media.height"),
    ("fraction for a whole number", "Media", put(height=Decimal("480.0")), "value", "Media.height"),
    ("zero for positiveInt", "Media", put(height=0), "value", "Media.height"),
    ("2^31", "Media", put(height=2**31), "value", "Media.height"),
    ("2^63", "Media", within("content", size=2**63), "value", "Media.content.size"),
    ("negative unsignedInt", "Media", within("content", size=-1), "value", "Media.content.size"),
    ("text for a decimal", "Media", put(duration="1.0"), "value", "Media.duration"),
    ("decimal without end", "Media", put(duration=Decimal("1" * 65)), "value", "Media.duration"),
    ("decimal of a huge exponent", "Media", put(duration=Decimal("1e401")), "value", "Media.duration"),
    ("NaN", "Media", put(duration=Decimal("NaN")), "value", "Media.duration"),
    ("number for a date", "Patient", put(birthDate=1969), "value", "Patient.birthDate"),
    ("no such day", "Patient", put(birthDate="2021-02-29"), "value", "Patient.birthDate"),
    ("31 June", "Patient", put(birthDate="2021-06-31"), "value", "Patient.birthDate"),
    ("year 0", "Patient", put(birthDate="0000"), "value", "Patient.birthDate"),
    ("date with a time", "Patient", put(birthDate="2021-06-30T10:00:00Z"), "value", "Patient.birthDate"),
    ("date with a line feed", "Patient", put(birthDate="2021-06-30\n"), "value", "Patient.birthDate"),
    ("digits of another script", "Patient", put(birthDate="٢٠٢١"), "value", "Patient.birthDate"),
    ("dateTime without zone", "DiagnosticReport", put(effectiveDateTime="2021-06-30T10:00:00"), "value", "DiagnosticReport.effective"),
    ("dateTime without seconds", "DiagnosticReport", put(effectiveDateTime="2021-06-30T10:00Z"), "value", "DiagnosticReport.effective"),
    ("hour 24", "DiagnosticReport", put(effectiveDateTime="2021-06-30T24:00:00Z"), "value", "DiagnosticReport.effective"),
    ("zone of 15 hours", "DiagnosticReport", put(effectiveDateTime="2021-06-30T10:00:00+15:00"), "value", "DiagnosticReport.effective"),
    ("instant of a day", "Media", put(issued="2021-06-30"), "value", "Media.issued"),
    ("instant on no day", "Media", put(issued="2021-02-30T10:00:00Z"), "value", "Media.issued"),
    ("no base64", "Media", within("content", data="%%%%"), "value", "Media.content.data"),
    ("truncated base64", "Media", within("content", data="QUJ"), "value", "Media.content.data"),
    ("base64 in disorder", "Media", within("content", data="Q=JD"), "value", "Media.content.data"),
    ("id too long", "Media", put(id="a" * 65), "value", "Media.id"),
    ("id with a slash", "Media", put(id="a/b"), "value", "Media.id"),
    ("uri with a blank", "Media", put(implicitRules="a b"), "value", "Media.implicitRules"),
    ("code with two blanks", "DocumentReference", within("content", 0, "format", code="a  b"), "value", "DocumentReference.content[0].format.code"),
    ("code with a blank at its end", "DocumentReference", within("content", 0, "format", code="a "), "value", "DocumentReference.content[0].format.code"),
    ("NUL", "Media", put(deviceName="a\x00"), "value", "Media.deviceName"),
    ("NUL in a uri", "Media", put(implicitRules="a\x00"), "value", "Media.implicitRules"),
    ("control character", "Media", put(deviceName="a\x1b[31m"), "value", "Media.deviceName"),
    ("lone surrogate", "Media", put(deviceName="\ud800"), "value", "Media.deviceName"),
    ("string too long", "Media", put(deviceName="a" * (1024 * 1024 + 1)), "value", "Media.deviceName"),
    ("unknown status", "Media", put(status="done"), "code-invalid", "Media.status"),
    ("status in another case", "Media", put(status="Completed"), "code-invalid", "Media.status"),
    ("unknown gender", "Patient", put(gender="f"), "code-invalid", "Patient.gender"),
    ("no MIME type", "Media", within("content", contentType="jpeg"), "code-invalid", "Media.content.contentType"),
    ("MIME type with a line feed", "Media", within("content", contentType="image/jpeg\nX: y"), "value", "Media.content.contentType"),
    ("reference to a wrong type", "Media", within("subject", reference="Encounter/1"), "structure", "Media.subject.reference"),
    ("reference to no type", "Media", within("subject", reference="Foo/1"), "value", "Media.subject.reference"),
    ("reference to nothing", "Media", within("subject", reference="Patient/"), "value", "Media.subject.reference"),
    ("reference upwards", "Media", within("subject", reference="../Patient/1"), "value", "Media.subject.reference"),
    ("reference with a bad id", "Media", within("subject", reference="Patient/a_b"), "value", "Media.subject.reference"),
    ("conditional reference to a wrong type", "Media", within("subject", reference="Encounter?x=y"), "structure", "Media.subject.reference"),
    ("reference type not permitted", "Media", within("subject", type="Encounter"), "structure", "Media.subject.type"),
    ("reference types that differ", "Media", within("subject", type="Group"), "structure", "Media.subject.type"),
    ("reference to nothing contained", "Media", within("subject", reference="#x"), "invariant", "Media.subject.reference"),
    ("extension without url", "Media", put(extension=[{"valueCode": "x"}]), "required", "Media.extension[0].url"),
    ("extension without value", "Media", put(extension=[{"url": "u"}]), "invariant", "Media.extension[0]"),
    ("extension with value and extensions", "Media", within("extension", 0, valueCode="x"), "invariant", "Media.extension[0]"),
    ("extension with a null value", "Media", put(extension=[{"url": "u", "valueCode": None}]), "structure", "Media.extension[0].value"),
    ("extension with an extended url", "Media", put(extension=[{"url": "u", "_url": {"id": "a"}, "valueCode": "x"}]), "structure", "Media.extension[0]._url"),
    ("unknown modifier", "Media", put(modifierExtension=[{"url": "u", "valueCode": "x"}]), "extension", "Media.modifierExtension[0]"),
    ("modifier on a datatype", "Media", within("subject", modifierExtension=[]), "structure", "Media.subject.modifierExtension"),
    ("extended object", "Media", put(_subject={"id": "a"}), "structure", "Media._subject"),
    ("extended id", "Media", put(_id={"extension": [{"url": "u", "valueCode": "x"}]}), "structure", "Media._id"),
    ("extended type", "Media", put(_resourceType={"id": "a"}), "structure", "Media._resourceType"),
    ("extensions in no object", "Media", put(_status="x"), "structure", "Media.status"),
    ("extensions with a value", "Media", put(_status={"value": "x", "id": "a"}), "structure", "Media.status.value"),
    ("array of extensions too short", "Patient", within("name", 0, given=["a", "b"], _given=[{"id": "a", "extension": [{"url": "u", "valueCode": "x"}]}]), "structure", "Patient.name[0].given"),
    ("extensions of an array in an object", "Patient", within("name", 0, _given={"id": "a"}, given=["a"]), "structure", "Patient.name[0].given"),
    ("only nulls", "Patient", within("name", 0, given=["a"], _given=[None]), "structure", "Patient.name[0].given"),
    ("null extensions without values", "Patient", put(name=[{"_given": [{"extension": [{"url": "u", "valueCode": "x"}]}, None]}]), "structure", "Patient.name[0].given[1]"),
    ("contained in a contained", "Media", within("contained", 0, contained=[{"resourceType": "Basic"}]), "invariant", "Media.contained[0]"),
    ("contained without type", "Media", put(contained=[{"id": "camera"}]), "structure", "Media.contained[0].resourceType"),
    ("contained of no type", "Media", put(contained=[{"resourceType": "Foo", "id": "camera"}]), "structure", "Media.contained[0].resourceType"),
    ("contained of an abstract type", "Media", put(contained=[{"resourceType": "DomainResource", "id": "camera"}]), "structure", "Media.contained[0].resourceType"),
    ("contained of a path", "Media", put(contained=[{"resourceType": "../codes/event-status", "id": "camera"}]), "structure", "Media.contained[0].resourceType"),
    ("contained of a number", "Media", put(contained=[{"resourceType": 1, "id": "camera"}]), "structure", "Media.contained[0].resourceType"),
    ("contained that is no object", "Media", put(contained=["#camera"], device={"reference": "Device/1"}), "structure", "Media.contained[0]"),
    ("contained that is unsound", "Media", within("contained", 0, status="?"), "code-invalid", "Media.contained[0].status"),
    ("contained with a version", "Media", within("contained", 0, meta={"versionId": "1"}), "invariant", "Media.contained[0].meta"),
    ("contained with labels", "Media", within("contained", 0, meta={"security": [{"code": "R"}]}), "invariant", "Media.contained[0].meta"),
    ("contained nobody refers to", "Media", within("device", reference="Device/1"), "invariant", "Media.contained[0]"),
    ("contained of a wrong id", "Media", within("contained", 0, id="#camera"), "value", "Media.contained[0].id"),
    ("narrative of another namespace", "Media", put(text={"status": "generated", "div": "<div>x</div>"}), "value", "Media.text.div"),
    ("narrative that is no div", "Media", put(text={"status": "generated", "div": f'<p xmlns="{XHTML}">x</p>'}), "value", "Media.text.div"),
    ("narrative without status", "Media", put(text={"div": f'<div xmlns="{XHTML}">x</div>'}), "required", "Media.text.status"),
    ("narrative that is broken", "Media", div("<p>"), "value", "Media.text.div"),
    ("narrative that is empty", "Media", div(" \n"), "value", "Media.text.div"),
    ("narrative as a number", "Media", put(text={"status": "generated", "div": 1}), "value", "Media.text.div"),
    ("script", "Media", div("<script>x()</script>"), "value", "Media.text.div"),
    ("script in another namespace", "Media", div('<svg xmlns="http://www.w3.org/2000/svg"><script/>x</svg>'), "value", "Media.text.div"),
    ("event handler", "Media", div('<p onclick="x()">x</p>'), "value", "Media.text.div"),
    ("running address", "Media", div('<a href=" java&#10;script:x()">x</a>'), "value", "Media.text.div"),
    ("page in an address", "Media", div('<a href="data:text/html,x">x</a>'), "value", "Media.text.div"),
    ("loading style", "Media", div('<p style="background: url(http://x.example)">x</p>'), "value", "Media.text.div"),
    ("form", "Media", div('<form action="x">x</form>'), "value", "Media.text.div"),
    ("frame", "Media", div('<iframe src="x"/>x'), "value", "Media.text.div"),
    ("comment", "Media", div("<!-->x<script>--> x"), "value", "Media.text.div"),
    ("CDATA", "Media", div("<![CDATA[<script>]]>"), "value", "Media.text.div"),
    ("processing instruction", "Media", div("<?php x ?>x"), "value", "Media.text.div"),
    ("entity", "Media", div("&nbsp;x"), "value", "Media.text.div"),
    ("document type", "Media", put(text={"status": "generated", "div": f'<!DOCTYPE d [<!ENTITY e "x">]><div xmlns="{XHTML}">&e;</div>'}), "value", "Media.text.div"),
    ("narrative of endless depth", "Media", div("<p>" * 100_000 + "x" + "</p>" * 100_000), "value", "Media.text.div"),
]  # fmt: skip


@pytest.mark.parametrize(("type", "spoil", "code", "expression"), [pytest.param(*row[1:], id=row[0]) for row in ROWS])
def test_finds(type: str, spoil: Spoil, code: str, expression: str) -> None:
    assert (code, expression) in of(type, spoil)


@pytest.mark.parametrize("type", TYPES)
def test_samples_are_sound(type: str) -> None:
    assert check(sample(type), type=type) == []


SOUND: list[tuple[str, str, Spoil]] = [
    ("a status that says why it is missing", "Media", lambda r: (r.pop("status"), r.update(_status={"extension": [{"url": "u", "valueCode": "unknown"}]}))),
    ("a leap second", "Media", put(issued="2016-12-31T23:59:60Z")),
    ("a leap day", "Patient", put(birthDate="2000-02-29")),
    ("white space in base64", "Media", within("content", data=" QUJD\r\n\tREVG ")),
    ("whole numbers as decimals", "Media", put(duration=12)),
    ("contained that refers to its container", "Media", lambda r: r["contained"].append({"resourceType": "Provenance", "id": "p", "target": [{"reference": "#"}], "recorded": "2020-01-01T00:00:00Z", "agent": [{"who": {"display": "x"}}]})),
    ("contained that refers to a contained", "Media", lambda r: (r["contained"].append({"resourceType": "Organization", "id": "o", "name": "x"}), r["contained"][0].update(owner={"reference": "#o"}))),
    ("contained of a type nobody serves", "Media", lambda r: (r["contained"].append({"resourceType": "Medication", "id": "m"}), r.update(partOf=[{"reference": "#m"}]))),
    ("Meta as the value of an extension", "Media", put(extension=[{"url": "u", "valueMeta": {"versionId": "1"}}])),
    ("a picture as narrative", "Media", div('<img src="data:image/png;base64,AA==" alt="x"/>')),
    ("links and styles", "Media", div('<a href="#x" name="y" style="color: red">x</a><a href="mailto:a@example.org">y</a>')),
    ("special spaces in a string", "Media", put(deviceName="a\u00a0b\u2028c\td")),
    ("a reference without a literal", "Media", put(subject={"display": "somebody"})),
]  # fmt: skip


@pytest.mark.parametrize(("type", "spoil"), [pytest.param(*row[1:], id=row[0]) for row in SOUND])
def test_lets_through(type: str, spoil: Spoil) -> None:
    assert of(type, spoil) == []


def test_the_type_must_be_the_one_expected() -> None:
    assert [i.expression for i in check(sample("Media"), type="Patient")] == ["Patient.resourceType"]
    assert [i.expression for i in check({}, type="Patient")] == ["Patient.resourceType"]
    assert [i.code for i in check({"resourceType": "Foo"}, type="Foo")] == ["structure"]
    assert [i.code for i in check({"resourceType": "Resource"}, type="Resource")] == ["structure"]


def test_tells_several_findings_at_once_and_not_without_end() -> None:
    found = of("Patient", lambda r: r.update(gender="x", birthDate="y", active="z", foo=1))
    assert {expression for _, expression in found} == {
        f"Patient.{name}" for name in ("gender", "birthDate", "active", "foo")
    }
    assert len(of("Patient", put(identifier=[{}] * 100_000))) == ISSUES_MAX


def test_nothing_that_was_sent_is_repeated_but_names_of_elements() -> None:
    canary = "Kari Nordmann 13116900216"
    hostile = {
        "status": canary, canary: 1, "_" + canary: 1, "subject": {"reference": canary, canary: {}, "type": canary},
        "identifier": canary, "height": canary, "text": {"status": canary, "div": f"<{canary}>"}, "issued": canary,
        "contained": [{"resourceType": canary, "id": canary}], "extension": [{"url": canary, canary: canary}],
        "n13116900216": 1, "content": {"contentType": canary, "data": canary, "size": canary},
    }  # fmt: skip
    resource = sample("Media")
    resource.update(hostile)  # type: ignore[arg-type]
    issues = check(resource, type="Media")
    assert len(issues) > 10
    for issue in issues:
        for piece in ("Kari", "Nordmann", "13116900216"):
            assert piece not in issue.text + str(issue.expression)


def test_resources_in_bundles_and_parameters_are_checked_as_themselves() -> None:
    media = sample("Media")
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [
        {"fullUrl": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "resource": media, "request": {"method": "POST", "url": "Media"}},
        {"resource": {**sample("Patient"), "gender": "x"}},
        {"resource": {"resourceType": "Media", "status": "completed", "content": {"title": "x"}, "device": {"reference": "#camera"}}},
        {"resource": {"resourceType": "Foo"}},
    ]}  # fmt: skip
    assert [(i.code, i.expression) for i in check(bundle, type="Bundle")] == [  # type: ignore[arg-type]
        ("code-invalid", "Bundle.entry[1].resource.gender"),
        ("invariant", "Bundle.entry[2].resource.device.reference"),
        ("structure", "Bundle.entry[3].resource.resourceType"),
    ]
    parameters = {"resourceType": "Parameters", "parameter": [
        {"name": "a", "part": [{"name": "b", "resource": {**sample("Binary"), "data": "?"}}]},
        {"name": "c", "valueString": "x", "valueCode": "y"},
    ]}  # fmt: skip
    assert [i.expression for i in check(parameters, type="Parameters")] == [  # type: ignore[arg-type]
        "Parameters.parameter[0].part[0].resource.data",
        "Parameters.parameter[1].value",
    ]
