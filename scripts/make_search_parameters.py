"""Write what the search parameters and the patient compartment of R4 say, as facts, from HL7's official definitions.

    python scripts/make_search_parameters.py            writes profiles/r4/
    python scripts/make_search_parameters.py --check    writes nothing, fails if a file would change

One entry per concrete type and code: identity, search type, expression cut down to the branches of that type, targets,
and the components of a composite. No prose is taken over.
"""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fhirmedia.r4 import fhirpath
from fhirmedia.r4.elements import resource_types
from fhirmedia.r4.fhirpath import parse_union
from scripts.definitions import Definitions

OUT = Path(__file__).resolve().parent.parent / "profiles" / "r4"
CANONICAL = "http://hl7.org/fhir/SearchParameter/"
BASES = ("Resource", "DomainResource")

CORRECTIONS = {
    ("Observation-code-value-date", "Observation-value-date", "value.as(DateTime) | value.as(Period)"): (
        "Observation-value-date",
        "value.as(dateTime) | value.as(Period)",  # the datatype is misspelt
    ),
    ("Group-characteristic-value", "Group-value", "value"): (
        "Group-value",
        "value.as(CodeableConcept) | value.as(boolean)",  # as the parameter Group-value itself says
    ),
    ("DocumentReference-relationship", "DocumentReference-relatesto", "code"): (
        "DocumentReference-relation",  # the definitions of the two components are exchanged
        "code",
    ),
    ("DocumentReference-relationship", "DocumentReference-relation", "target"): (
        "DocumentReference-relatesto",
        "target",
    ),
}
"""Components that R4 gets wrong: (composite, definition, expression) as published, to what is meant."""

LEFT_OUT = {
    "example": "an example of a SearchParameter",
    "example-extension": "an example of a SearchParameter",
    "example-reference": "an example of a SearchParameter",
    "filter": "belongs to no type",
    "device-extensions-Device-din": "ends at an Extension, from which no value can be taken",
    "diagnosticreport-genetic-DiagnosticReport-assessed-condition": "ends at an Extension",
    "observation-genetic-Observation-amino-acid-change": "ends at an Extension",
    "observation-genetic-Observation-dna-variant": "ends at an Extension",
    "observation-genetic-Observation-gene-amino-acid-change": "ends at an Extension",
    "observation-genetic-Observation-gene-dnavariant": "ends at an Extension",
    "observation-genetic-Observation-gene-identifier": "ends at an Extension",
    "patient-extensions-Patient-age": "has no expression",
    "patient-extensions-Patient-birthOrderBoolean": "has no expression",
    "patient-extensions-Patient-mothersMaidenName": "ends at an Extension",
    "questionnaireresponse-extensions-QuestionnaireResponse-item-subject": "needs hasExtension()",
    "Bundle-composition": "needs an index, and a Bundle is not stored",
    "Bundle-message": "needs an index, and a Bundle is not stored",
    "MolecularSequence-chromosome-variant-coordinate": "a component reaches outside its repetition",
    "MolecularSequence-referenceseqid-variant-coordinate": "a component reaches outside its repetition",
    "Resource-query": "names an operation, not a value",
}
"""Official definitions that are no facts of ours, with the reason."""


def _own(expression: str, kind: str) -> list[Any]:
    """The branches that concern a type, in the form that begins with its name."""
    kept = []
    for part in parse_union(expression):
        if part.head == kind:
            kept.append(part)
        elif part.head in BASES:
            kept.append(parse_union(kind + str(part).removeprefix(str(part.head)))[0])
        elif part.head is None:
            kept.append(parse_union(f"{kind}.{part}")[0])
    return kept


def _targets(published: list[str], branches: list[Any]) -> list[str]:
    """Where every branch is cut to one type by `resolve()`, those types; else what the definition says."""
    cut = set()
    for branch in branches:
        last = branch.steps[-1] if isinstance(branch, fhirpath.Path) else None
        if not (isinstance(last, fhirpath.Where) and isinstance(last.tests[0], fhirpath.ResolvesTo)):
            return sorted(published)
        cut.add(last.tests[0].type)
    return sorted(cut)


def _entry(definition: dict[str, Any], kind: str, by_url: dict[str, dict[str, Any]]) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": definition["id"], "type": definition["type"]}
    if "expression" not in definition:
        return entry
    branches = _own(definition["expression"], kind)
    entry["expression"] = " | ".join(map(str, branches))
    if definition["type"] == "reference":
        targets = _targets(definition.get("target", []), branches)
        entry["targets"] = [] if set(targets) >= resource_types() - {"Parameters"} else targets
    if definition["type"] == "composite":
        entry["components"] = [_component(definition["id"], one, by_url) for one in definition["component"]]
    return entry


def _component(composite: str, published: dict[str, Any], by_url: dict[str, dict[str, Any]]) -> dict[str, str]:
    identity, expression = by_url[published["definition"]]["id"], published["expression"]
    identity, expression = CORRECTIONS.get((composite, identity, expression), (identity, expression))
    kind: str = by_url[CANONICAL + identity]["type"]
    return {"id": identity, "type": kind, "expression": " | ".join(map(str, parse_union(expression)))}


def parameters(definitions: Definitions) -> dict[str, dict[str, Any]]:
    """Type to code to entry, for every resource type and the two abstract bases."""
    official = [
        one
        for one in definitions.resources("SearchParameter")
        if one.get("url", "").startswith(CANONICAL) and "base" in one and one["id"] not in LEFT_OUT
    ]
    by_url = {one["url"]: one for one in official}
    written: dict[str, dict[str, Any]] = {}
    for definition in official:
        for kind in definition["base"]:
            known = written.setdefault(kind, {})
            if definition["code"] in known:
                raise SystemExit(f"{kind} has two parameters {definition['code']}")
            known[definition["code"]] = _entry(definition, kind, by_url)
    return {kind: dict(sorted(known.items())) for kind, known in sorted(written.items())}


def compartment(definitions: Definitions) -> dict[str, list[str]]:
    """Type to the codes by which R4 puts it into a Patient's compartment; empty where it cannot be in one."""
    definition = json.loads(definitions.content("CompartmentDefinition-patient.json"))
    return {entry["code"]: entry.get("param", []) for entry in definition["resource"]}


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _lines(content: dict[str, Any]) -> str:
    """JSON with one entry per line, so that a change can be read."""
    rows = []
    for kind, value in content.items():
        if isinstance(value, dict):
            inner = ",\n".join(f"{_compact(code)}:{_compact(entry)}" for code, entry in value.items())
            rows.append(f"{_compact(kind)}:{{\n{inner}\n}}")
        else:
            rows.append(f"{_compact(kind)}:{_compact(value)}")
    return "{\n" + ",\n".join(rows) + "\n}\n"


def main() -> None:
    """Write or compare."""
    definitions = Definitions()
    files = {
        "search-parameters.json": _lines(parameters(definitions)),
        "compartment-patient.json": _lines(compartment(definitions)),
    }
    for name, text in files.items():
        target = OUT / name
        if "--check" not in sys.argv:
            target.write_text(text, "utf-8")
        elif not target.exists() or target.read_text("utf-8") != text:
            raise SystemExit(f"profiles/r4/{name} is not what the definitions say")


if __name__ == "__main__":
    main()
