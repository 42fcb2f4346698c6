"""Write `profiles/r4/elements/` and `profiles/r4/codes/` from HL7's official definitions: facts only, no prose.

python scripts/make_elements.py           writes the tables
python scripts/make_elements.py --check   fails when a committed table differs from what would be written
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.definitions import Definitions

TARGET = Path(__file__).resolve().parent.parent / "profiles" / "r4"
CANONICAL = "http://hl7.org/fhir/StructureDefinition/"
ABSTRACT = ("Element", "BackboneElement", "Resource", "DomainResource")

_MIME_TYPE = "[A-Za-z0-9!#$&^_.+*-]{1,127}/[A-Za-z0-9!#$&^_.+*-]{1,127}( ?;[ -:<-~]{1,200}(;[ -:<-~]{1,200}){0,9})?"

UNLISTED: dict[str, dict[str, Any]] = {
    "currencies": {"pattern": "[A-Z]{3}", "systems": {"urn:iso:std:iso:4217": None}},
    "mimetypes": {"pattern": _MIME_TYPE, "systems": {"urn:ietf:bcp:13": None}},
    "formats": {"pattern": f"xml|json|ttl|none|{_MIME_TYPE}", "systems": {"urn:ietf:bcp:13": None}},
    "ucum-units": {"systems": {"http://unitsofmeasure.org": None}},
}
"""Required value sets whose codes the package does not list: what can be held without the list."""

FORMATS = ("CapabilityStatement.format", "CapabilityStatement.patchFormat", "TestScript.")
"""Elements whose definition admits the short names of FHIR's formats beside MIME types."""

UNKNOWN = frozenset({"LL379-9"})
"""A LOINC answer list without published content in the package: not held."""


def made_texts(definitions: Definitions) -> dict[str, str]:
    """Every table and code list as text, by its path below `profiles/r4`."""
    files = dict(tables(definitions.resources("StructureDefinition")))
    wanted = {entry["binding"] for table in files.values() for entry in _walk(table.get("elements", []))} - {None}
    files |= code_lists(definitions, wanted)
    return {path: _lines(content) for path, content in files.items()}


def main() -> int:
    texts = made_texts(Definitions())
    present = {str(p.relative_to(TARGET)) for folder in ("elements", "codes") for p in (TARGET / folder).glob("*.json")}
    if "--check" in sys.argv:
        wrong = sorted(present ^ set(texts)) + [p for p in present & set(texts) if (TARGET / p).read_text() != texts[p]]
        print("\n".join(f"differs: {path}" for path in wrong) or f"{len(texts)} tables are as the definitions say")
        return bool(wrong)
    for path in present - set(texts):
        (TARGET / path).unlink()
    for path, text in texts.items():
        (TARGET / path).parent.mkdir(parents=True, exist_ok=True)
        (TARGET / path).write_text(text, "utf-8")
    print(f"{len(texts)} tables, {sum(map(len, texts.values())) // 1024} kB")
    return 0


def tables(structures: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """One table per type and the index of types by kind, each with its path below `profiles/r4`."""
    index: dict[str, list[str]] = {"resource": [], "complex": [], "abstract": [], "primitive": []}
    for structure in structures:
        name = structure["name"]
        if structure["url"] != CANONICAL + name or structure.get("derivation") == "constraint":
            continue
        if structure["kind"] == "logical":
            continue
        kind = "abstract" if name in ABSTRACT else structure["kind"].removesuffix("-type")
        index[kind].append(name)
        if kind != "primitive":
            yield f"elements/{name}.json", _table(structure, kind)
    yield "elements/index.json", {kind: sorted(names) for kind, names in index.items()}


def _table(structure: dict[str, Any], kind: str) -> dict[str, Any]:
    name = structure["name"]
    elements = structure["snapshot"]["element"]
    base = str(structure.get("baseDefinition", "")).removeprefix(CANONICAL)
    if base not in ABSTRACT:
        base = "Element" if kind == "complex" else ""
    inherited = _inherited(elements, name)
    head: dict[str, Any] = {"type": name, "kind": kind}
    if base:
        head["base"] = base
    return head | {"elements": _children(elements, name, inherited)}


def _inherited(elements: list[dict[str, Any]], parent: str) -> set[str]:
    """Paths directly below `parent` that are defined by an abstract base and come with it."""
    found = set()
    for element in elements:
        path: str = element["path"]
        origin: str = element.get("base", {}).get("path", path).split(".")[0]
        if path.rpartition(".")[0] == parent and origin in ABSTRACT and origin != parent:
            found.add(path)
    return found


def _children(elements: list[dict[str, Any]], parent: str, inherited: set[str]) -> list[dict[str, Any]]:
    depth = parent.count(".") + 1
    found = []
    for element in elements:
        path: str = element["path"]
        if path.startswith(parent + ".") and path.count(".") == depth and path not in inherited:
            found.append(_entry(element, elements))
    return found


def _entry(element: dict[str, Any], elements: list[dict[str, Any]]) -> dict[str, Any]:
    path: str = element["path"]
    entry: dict[str, Any] = {"name": path.rpartition(".")[2]}
    entry["types"] = [_type(t, path) for t in element.get("type", [])] or ["BackboneElement"]
    if element["min"]:
        entry["min"] = element["min"]
    if element["max"] != "1":
        entry["max"] = "*" if element["max"] == "*" else int(element["max"])
    targets = _targets(element)
    if targets:
        entry["targets"] = targets
    binding = element.get("binding", {})
    if binding.get("strength") == "required":
        list_name = binding["valueSet"].partition("|")[0].rpartition("/")[2]
        if list_name == "mimetypes" and path.startswith(FORMATS):
            list_name = "formats"
        if list_name not in UNKNOWN:
            entry["binding"] = list_name
    if element.get("isSummary"):
        entry["summary"] = True
    if element.get("isModifier"):
        entry["modifier"] = True
    if "contentReference" in element:
        entry["like"] = element["contentReference"].removeprefix("#")
    backbone = entry["types"][0]
    if backbone in {"BackboneElement", "Element"} and "like" not in entry and path not in {"Resource", "Element"}:
        entry["base"] = backbone
        entry["elements"] = _children(elements, path, _inherited(elements, path))
    return entry


def _type(declared: dict[str, Any], path: str) -> str:
    code: str = declared["code"]
    if not code.startswith("http://hl7.org/fhirpath/"):
        return code
    if path == "Resource.id":
        return "id"
    named = [e.get("valueUrl") or e.get("valueUri") for e in declared.get("extension", [])]
    return str(named[0]) if named else "string"


def _targets(element: dict[str, Any]) -> list[str]:
    named: list[str] = []
    for declared in element.get("type", []):
        if declared["code"] == "Reference":
            named += [p.removeprefix(CANONICAL) for p in declared.get("targetProfile", [])]
    unique = list(dict.fromkeys(named))
    return [] if "Resource" in unique else unique


def _walk(entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for entry in entries:
        yield {"binding": entry.get("binding")}
        yield from _walk(entry.get("elements", []))


def code_lists(definitions: Definitions, wanted: set[str]) -> dict[str, dict[str, Any]]:
    """Each required value set by name: codes per system, None for every code of a system, or a pattern of codes."""
    sets = {v["url"].rpartition("/")[2]: v for v in definitions.resources("ValueSet") if _official(v)}
    systems = {s["url"]: s for s in definitions.resources("CodeSystem")}
    lists: dict[str, dict[str, Any]] = {}
    for name in sorted(wanted):
        lists[f"codes/{name}.json"] = UNLISTED.get(name) or {"systems": _expansion(sets[name], systems)}
    return lists


def _official(value_set: dict[str, Any]) -> bool:
    return str(value_set["url"]).startswith(("http://hl7.org/fhir/ValueSet/", "http://terminology.hl7.org/ValueSet/"))


def _expansion(value_set: dict[str, Any], systems: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    compose = value_set["compose"]
    if "exclude" in compose:
        raise ValueError(f"{value_set['url']} excludes codes, which is not understood here")
    codes: dict[str, list[str]] = {}
    for include in compose["include"]:
        if "filter" in include or "valueSet" in include:
            raise ValueError(f"{value_set['url']} filters codes, which is not understood here")
        listed = include.get("concept") or list(_concepts(systems[include["system"]]["concept"]))
        codes.setdefault(include["system"], []).extend(concept["code"] for concept in listed)
    return codes


def _concepts(concepts: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for concept in concepts:
        yield concept
        yield from _concepts(concept.get("concept", []))


def _lines(content: dict[str, Any]) -> str:
    """JSON with one root element per line, so that a change reads well."""
    if "elements" not in content:
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n"
    head = {key: value for key, value in content.items() if key != "elements"}
    rows = ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in content["elements"])
    opening = json.dumps(head, separators=(",", ":"))[:-1]
    return f'{opening},"elements":[\n{rows}\n]}}\n'


if __name__ == "__main__":
    raise SystemExit(main())
