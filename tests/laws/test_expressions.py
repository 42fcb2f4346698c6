"""Compiled search expressions find what FHIRPath finds: fhirpathpy is the oracle, on every official example."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import fhirpathpy
import pytest
from fhirpathpy.models import models

from fhirmedia.core.errors import Category, Failure
from fhirmedia.r4.elements import resource_types, table
from fhirmedia.r4.expressions import Branch, compile_expression, inside
from fhirmedia.r4.fhirpath import parse_union
from fhirmedia.r4.profiles_path import profiles
from tests.fhir.official import definitions

R4 = models["r4"]
BASES = ("Resource", "DomainResource")

EXCEPTIONS = {
    ("Observation", "patient"): "the subject is a contained Patient, which a pattern on the reference cannot see",
    ("QuestionnaireResponse", "patient"): "the same",
}
"""Where the oracle and we differ, and why; on these parameters everything the oracle finds must still be found."""


def parameters() -> dict[str, dict[str, dict[str, Any]]]:
    read: dict[str, dict[str, dict[str, Any]]] = json.loads(
        profiles().joinpath("r4", "search-parameters.json").read_text("utf-8")
    )
    return read


def ours() -> Iterator[dict[str, Any]]:
    for file in (profiles() / "SearchParameter").iterdir():
        yield json.loads(file.read_text("utf-8"))


@pytest.fixture(scope="module")
def examples() -> dict[str, list[dict[str, Any]]]:
    """Every official example by type. Numbers stay text on both sides: the oracle would turn some into text."""
    source = definitions()
    found = defaultdict(list)
    for name in source.names(""):
        kind = name.partition("-")[0]
        if kind in resource_types() - {"StructureDefinition", "ValueSet", "CodeSystem", "SearchParameter", "Bundle"}:
            resource = json.loads(source.content(name), parse_float=str)
            if resource.get("resourceType") == kind:
                found[kind].append(resource)
    return found


def oracle(expression: str) -> str:
    """What the oracle can evaluate: it has no `resolve()`, and its `as` wants a single item."""
    matched = re.sub(r"resolve\(\) is (\w+)", r"reference.matches('(^|/)\1/')", expression)
    return re.sub(r"\bas\((\w+)\)", r"ofType(\1)", matched)


def as_set(values: list[Any]) -> set[str]:
    return {json.dumps(value, sort_keys=True, default=str) for value in values}


def found_by_us(branches: tuple[Branch, ...], resource: Any) -> set[str]:
    return as_set([value for branch in branches for value in branch.values(resource)])


def test_every_r4_parameter_finds_what_fhirpath_finds(examples: dict[str, list[dict[str, Any]]]) -> None:
    facts, differing, hits, compared = parameters(), set(), set(), 0
    for kind, resources in examples.items():
        known = {code: facts[base][code] for base in BASES for code in facts[base]} | facts.get(kind, {})
        for code, entry in known.items():
            if "expression" not in entry:
                continue
            expression = re.sub(r"\b(?:Domain)?Resource\.", f"{kind}.", entry["expression"])
            branches = compile_expression(entry["expression"], table(kind))
            evaluate = fhirpathpy.compile(oracle(expression), R4)
            for resource in resources:
                mine, theirs = found_by_us(branches, resource), as_set(evaluate(resource, {}))
                compared += 1
                if mine:
                    hits.add((kind, code))
                if mine != theirs:
                    assert theirs < mine, (kind, code, resource.get("id"))
                    differing.add((kind, code))
    print(f"{compared} comparisons; {len(hits)} parameters found something")
    assert differing == set(EXCEPTIONS)
    assert compared > 18_000
    assert len(hits) > 1_400


def test_parts_of_composites_find_what_fhirpath_finds(examples: dict[str, list[dict[str, Any]]]) -> None:
    hits = 0
    facts = parameters()
    for kind in facts:
        for entry in facts[kind].values():
            if entry["type"] != "composite":
                continue
            for base in compile_expression(entry["expression"], table(kind)):
                name = inside(base).type
                for part in entry["components"]:
                    branches = compile_expression(part["expression"], inside(base))
                    for resource in examples.get(kind, ()):
                        for node in base.values(resource):
                            theirs = fhirpathpy.evaluate(
                                node, {"base": name, "expression": oracle(part["expression"])}, {}, R4
                            )
                            assert found_by_us(branches, node) == as_set(theirs), (kind, part)
                            hits += bool(theirs)
    assert hits > 300


@pytest.mark.parametrize("parameter", [pytest.param(each, id=each["code"]) for each in ours()])
def test_our_parameters_find_what_fhirpath_finds(
    parameter: dict[str, Any], examples: dict[str, list[dict[str, Any]]]
) -> None:
    compared = 0
    for kind in parameter["base"]:
        branches = compile_expression(parameter["expression"], table(kind))
        own = " | ".join(str(part) for part in parse_union(parameter["expression"]) if part.head == kind)
        evaluate = fhirpathpy.compile(oracle(own), R4)
        for resource in examples[kind]:
            for variant in variants(resource):
                assert found_by_us(branches, variant) == as_set(evaluate(variant, {})), (kind, variant)
                compared += 1
    assert compared > 50


def variants(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The example itself, without each of its elements, and with tags and extensions of ours."""
    yield resource
    for name in resource.keys() - {"resourceType"}:
        yield {key: value for key, value in resource.items() if key != name}
    concept = {"coding": [{"system": "http://snomed.info/sct", "code": "368209003"}]}
    site = "http://hl7.org/fhir/5.0/StructureDefinition/extension-DocumentReference.bodySite"
    for content_type in ("image/png", "video/mp4", "audio/wav", "text/plain", "application/pdf", "application/dicom"):
        yield {
            "resourceType": resource["resourceType"],
            "meta": {"tag": [{"system": "https://fhirmedia.org/CodeSystem/department", "code": "derm"}, {"code": "x"}]},
            "extension": [
                {"url": site, "valueCodeableConcept": concept},
                {"url": site, "extension": [{"url": "concept", "valueCodeableConcept": concept}]},
                {"url": "http://example.org/other", "valueCodeableConcept": concept},
            ],
            **({"content": {"contentType": content_type}} if resource["resourceType"] == "Media" else {}),
        }


def test_the_canonical_text_of_a_branch_means_the_same() -> None:
    for entries in parameters().values():
        for entry in entries.values():
            for expression in [entry.get("expression"), *(part["expression"] for part in entry.get("components", ()))]:
                if expression is not None:
                    branches = parse_union(expression)
                    assert tuple(parse_union(str(branch))[0] for branch in branches) == branches


@pytest.mark.parametrize(
    ("expression", "type", "why"),
    [
        ("Bundle.entry[0].resource", "Bundle", "an index"),
        ("Patient.name.matches('(a+)+$')", "Patient", "another function"),
        ("Patient.name.given.first()", "Patient", "another function"),
        ("%resource.id", "Patient", "a variable"),
        ("Patient.nam", "Patient", "an element R4 does not have"),
        ("Patient.deceasedBoolean", "Patient", "the JSON name of a choice"),
        ("Patient.birthDate.year", "Patient", "a member of a primitive"),
        ("Patient.birthDate.as(Quantity)", "Patient", "a type the element cannot have"),
        ("Media.created.as(DateTime)", "Media", "a misspelt type"),
        ("Media.content.where(resolve() is Patient)", "Media", "resolve() on no Reference"),
        ("Media.subject.resolve()", "Media", "resolve() without `is`"),
        ("Media.where(status)", "Media", "a path where a test belongs"),
        ("Media.where(height > 5)", "Media", "another operator"),
        ("Media.where(height = 5)", "Media", "a number"),
        ("Media.where(status = note)", "Media", "a comparison of paths"),
        ("Media.where(status = 'a' or status = 'b')", "Media", "or"),
        ("Media.extension(url)", "Media", "an argument that is no literal"),
        ("(Media.status", "Media", "a bracket that stays open"),
        ("Media.status)", "Media", "a bracket too many"),
        ("(Media.status = 'a').exists()", "Media", "a test in brackets"),
        ("Media.status Media.note", "Media", "two paths in a row"),
        ("Media.", "Media", "a path that ends too early"),
        ("Media.status |", "Media", "a union that ends too early"),
        ("Media.status = ", "Media", "a comparison that ends too early"),
        ("", "Media", "nothing"),
        ("Media.status & 'a'", "Media", "a sign without meaning here"),
        ("Media.where(status = 'it\\'s')", "Media", "an escape"),
    ],
)
def test_what_cannot_be_compiled_is_refused(expression: str, type: str, why: str) -> None:
    with pytest.raises(Failure) as refused:
        compile_expression(expression, table(type))
    assert refused.value.category is Category.INVALID, why
    assert "search expression" in refused.value.issues[0].text


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ({"reference": "Patient/1"}, True),
        ({"reference": "https://other.example.org/fhir/Patient/1"}, True),
        ({"reference": "Practitioner/1"}, False),
        ({"reference": "https://other.example.org/NotPatient/1"}, False),
        ({"reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"}, False),
        ({"reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "type": "Patient"}, True),
        ({"identifier": {"value": "1"}}, False),
        ({"identifier": {"value": "1"}, "type": "Patient"}, True),
        ({"reference": "#p"}, True),
        ({"reference": "#d"}, False),
        ({"reference": "#absent"}, False),
        ({"display": "someone"}, False),
    ],
)
def test_resolve_is_told_from_text_type_and_contained(reference: dict[str, Any], found: bool) -> None:
    contained = [{"resourceType": "Patient", "id": "p"}, {"resourceType": "Device", "id": "d"}]
    media: dict[str, Any] = {"resourceType": "Media", "subject": reference, "contained": contained}
    (branch,) = compile_expression("Media.subject.where(resolve() is Patient)", table("Media"))
    assert branch.values(media) == ([reference] if found else [])


def test_tests_look_at_the_item_and_not_at_the_start() -> None:
    patient: dict[str, Any] = {"telecom": [{"system": "email", "value": "a@b"}, {"system": "phone", "value": "1"}]}
    (branch,) = compile_expression("Patient.telecom.where(system = 'phone').value", table("Patient"))
    assert branch.values(patient) == ["1"]


def test_a_comparison_holds_for_one_equal_value_only() -> None:
    (branch,) = compile_expression("Media.where(note.text = 'a')", table("Media"))
    evaluate = fhirpathpy.compile("Media.where(note.text = 'a')", R4)
    for texts in ([], ["a"], ["b"], ["a", "b"], ["a", "a"]):
        media: dict[str, Any] = {"resourceType": "Media", "note": [{"text": text} for text in texts]}
        assert bool(branch.values(media)) == bool(evaluate(media, {})) == (texts == ["a"])


@pytest.mark.parametrize(
    ("deceased", "answer"),
    [
        ({}, False),
        ({"deceasedBoolean": False}, False),
        ({"deceasedBoolean": True}, True),
        ({"deceasedDateTime": "2020"}, True),
    ],
)
def test_a_boolean_expression_always_answers(deceased: dict[str, Any], answer: bool) -> None:
    (branch,) = compile_expression("Patient.deceased.exists() and Patient.deceased != false", table("Patient"))
    assert branch.type == "boolean"
    assert branch.values(deceased) == [answer]


def test_null_in_a_primitive_array_is_no_value() -> None:
    (branch,) = compile_expression("Patient.name.given", table("Patient"))
    assert branch.values({"name": [{"given": ["Ida", None], "_given": [None, {"id": "x"}]}]}) == ["Ida"]
