"""Write the search parameters of the switchboard: all that R4 and our own definitions have and the engines can index.

    python scripts/make_switchboard.py            rewrites profiles/CapabilityStatement-fhirmedia.json
    python scripts/make_switchboard.py --check    writes nothing, fails if the file would change

An entry that stores resources and can be searched gets every parameter; what a projected type is searched by stands in
its entry as written, because its view decides it. Everything else of the file is kept.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fhirmedia.r4.registry import BUILT_IN, COMMON, LEFT_OUT
from fhirmedia.r4.switchboard import Definition, Switchboard, read_switchboard

PROFILES = Path(__file__).resolve().parent.parent / "profiles"
FILE = "CapabilityStatement-fhirmedia.json"
INDEXED = ("token", "date", "reference", "string", "uri", "number", "quantity", "composite", "special")
"""Search types that engines keep values or words of."""


def search_parameters(board: Switchboard, type: str) -> list[dict[str, str]]:
    """The `searchParam` of a type: those common to all types, then its own by code."""
    own = {
        code: found
        for code, found in board.definitions.get(type, {}).items()
        if found.expression is not None and found.kind in INDEXED and code not in LEFT_OUT
    }
    listed = [*_common(board, type), *(own[code] for code in sorted(own))]
    official = "http://hl7.org/fhir/SearchParameter/"
    words = [{"name": name, "definition": official + id, "type": "string"} for name, id in BUILT_IN.items()]
    return [*words, *({"name": each.code, "definition": each.url, "type": each.kind} for each in listed)]


def _common(board: Switchboard, type: str) -> Iterator[Definition]:
    for code in COMMON:
        found = board.definition(type, code)
        if found is not None:
            yield found


def made(board: Switchboard) -> dict[str, Any]:
    """The statement with the search parameters of its entries as they have to be."""
    statement: dict[str, Any] = json.loads(json.dumps(board.statement))
    for entry in statement["rest"][0]["resource"]:
        codes = {interaction["code"] for interaction in entry["interaction"]}
        if {"create", "search-type"} <= codes:
            entry["searchParam"] = search_parameters(board, entry["type"])
    return statement


def text_of(statement: Mapping[str, Any]) -> str:
    """JSON with one line per search parameter, so that a change can be read."""
    return _text(statement, 0) + "\n"


def _text(value: Any, depth: int) -> str:
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value or _is_line(value):
        return flat
    inner = "  " * (depth + 1)
    if isinstance(value, dict):
        lines = [f"{inner}{json.dumps(name)}: {_text(each, depth + 1)}" for name, each in value.items()]
        return "{\n" + ",\n".join(lines) + "\n" + "  " * depth + "}"
    return "[\n" + ",\n".join(inner + _text(each, depth + 1) for each in value) + "\n" + "  " * depth + "]"


def _is_line(value: dict[str, Any] | list[Any]) -> bool:
    """Whether it holds nothing but scalars, or codes of one member."""
    members = list(value.values()) if isinstance(value, dict) else value
    return all(not isinstance(each, dict | list) or (isinstance(each, dict) and len(each) == 1) for each in members)


def main() -> None:
    """Write or compare."""
    board, target = read_switchboard(PROFILES), PROFILES / FILE
    if "--check" not in sys.argv:
        target.write_text(text_of(made(board)), "utf-8")
    elif made(board) != board.statement:
        raise SystemExit(f"profiles/{FILE} does not list what the definitions hold; run scripts/make_switchboard.py")


if __name__ == "__main__":
    main()
