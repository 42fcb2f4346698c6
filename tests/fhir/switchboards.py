"""Copies of `profiles/` with another switchboard, for what the one we ship cannot show."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fhirmedia.r4.profiles_path import profiles

FILES = ("CapabilityStatement-fhirmedia.json", "facts.json", "r4/search-parameters.json", "r4/compartment-patient.json")
OFFICIAL = "http://hl7.org/fhir/SearchParameter/"


def copied(folder: Path) -> Path:
    """What the Registry reads of `profiles/`, copied into a new folder."""
    source = profiles()
    for name in FILES:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(source.joinpath(*name.split("/")).read_text("utf-8"), "utf-8")
    shutil.copytree(str(source / "SearchParameter"), folder / "SearchParameter")
    return folder


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text("utf-8"))


def write(folder: Path, name: str, content: Any) -> None:
    (folder / name).write_text(json.dumps(content), "utf-8")


def entry(folder: Path, type: str, codes: Iterable[str]) -> dict[str, Any]:
    """A switchboard entry for a type with official parameters."""
    facts = read(folder, "r4/search-parameters.json")
    known = {**facts["Resource"], **facts["DomainResource"], **facts.get(type, {})}
    return {
        "type": type,
        "interaction": [{"code": "read"}, {"code": "create"}, {"code": "search-type"}],
        "searchParam": [
            {"name": code, "definition": OFFICIAL + known[code]["id"], "type": known[code]["type"]} for code in codes
        ],
    }


def with_entries(folder: Path, entries: Iterable[dict[str, Any]]) -> Path:
    """The folder with entries added to its switchboard, taking the place of those for the same type."""
    statement = read(folder, FILES[0])
    listed = {each["type"]: each for each in statement["rest"][0]["resource"]}
    listed |= {each["type"]: each for each in entries}
    statement["rest"][0]["resource"] = list(listed.values())
    write(folder, FILES[0], statement)
    return folder


def whole_r4(folder: Path) -> Path:
    """A switchboard of every type of R4 with every parameter the facts hold for it."""
    copied(folder)
    facts, compartment = read(folder, "r4/search-parameters.json"), read(folder, "r4/compartment-patient.json")
    beyond = {"Location": {"near"}}
    return with_entries(
        folder,
        (
            entry(folder, type, [code for code in facts.get(type, {}) if code not in beyond.get(type, set())])
            for type in compartment
        ),
    )
