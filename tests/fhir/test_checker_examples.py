"""HL7's official examples are sound to the checker and to the model, but for the listed ones, each for its reason."""

import pytest

from fhirmedia.r4.checker import check
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.model import check_model
from tests.fhir.official import definitions, examples

EMPTY = "its narrative has neither text nor a picture (txt-2)"
TARGET = "it refers to a type that its element does not permit"
INCOMPLETE = "a mandatory element is missing"
SPACED = "some of its codes hold white space that is not a single blank"
BASELESS = "it is neither abstract nor has a base (sdf-4)"

UNSOUND = {
    "ActivityDefinition-blood-tubes-supply.json": EMPTY,
    "ActivityDefinition-heart-valve-replacement.json": EMPTY,
    "Basic-referral.json": "its modifier extensions are known to nobody",
    "Bundle-v2-valuesets.json": SPACED,
    "CodeSystem-v2-0550.json": SPACED,
    "DeviceMetric-example.json": TARGET,
    "DeviceUseStatement-example.json": TARGET,
    "EventDefinition-example.json": EMPTY,
    "ImplementationGuide-fhir.json": INCOMPLETE,
    "MedicationRequest-medrx0301.json": TARGET,
    "Observation-clinical-gender.json": TARGET,
    "PlanDefinition-KDN5.json": "its narrative holds comments, which HTML and XML end at different places",
    "Questionnaire-qs1.json": INCOMPLETE,
    "Questionnaire-zika-virus-exposure-assessment.json": EMPTY,
    "StructureDefinition-Definition.json": BASELESS,
    "StructureDefinition-Event.json": BASELESS,
    "StructureDefinition-FiveWs.json": BASELESS,
    "StructureDefinition-Request.json": BASELESS,
    "SearchParameter-codesystem-extensions-CodeSystem-author.json": INCOMPLETE,
    "SearchParameter-codesystem-extensions-CodeSystem-effective.json": INCOMPLETE,
    "SearchParameter-codesystem-extensions-CodeSystem-end.json": INCOMPLETE,
    "SearchParameter-codesystem-extensions-CodeSystem-keyword.json": INCOMPLETE,
    "SearchParameter-codesystem-extensions-CodeSystem-workflow.json": INCOMPLETE,
    "SearchParameter-questionnaireresponse-extensions-QuestionnaireResponse-item-subject.json": "its id is too long",
    "SearchParameter-valueset-extensions-ValueSet-author.json": INCOMPLETE,
    "SearchParameter-valueset-extensions-ValueSet-effective.json": INCOMPLETE,
    "SearchParameter-valueset-extensions-ValueSet-end.json": INCOMPLETE,
    "SearchParameter-valueset-extensions-ValueSet-keyword.json": INCOMPLETE,
    "SearchParameter-valueset-extensions-ValueSet-workflow.json": INCOMPLETE,
}


@pytest.mark.parametrize("every", [25, pytest.param(1, marks=pytest.mark.long)])
def test_official_examples_are_sound(every: int) -> None:
    seen: set[str] = set()
    unsound: dict[str, list[str]] = {}
    for name, content in examples(definitions(), every=every):
        seen.add(name)
        resource = parse_json(content)
        issues = check(resource, type=str(resource["resourceType"]))
        if issues:
            unsound[name] = [issue.text for issue in issues]
        elif every > 1:
            assert check_model(resource, type=str(resource["resourceType"])) == [], name
    assert {name: texts for name, texts in unsound.items() if name not in UNSOUND} == {}
    assert set(unsound) == set(UNSOUND) & seen
    assert len(seen) > 700
