"""Write `profiles/r4/invariants.json`: the constraints R4 puts on types and elements, key, place and expression only.

python scripts/make_invariants.py           writes the table
python scripts/make_invariants.py --check   fails when the committed table differs from what would be written

The sentences under `says` are ours: they are taken over from the table that is there. A constraint without one is told
by its expression. What the subset cannot express is listed under `left`.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fhirmedia.core.errors import Failure
from fhirmedia.r4.constraints import compile_constraint
from fhirmedia.r4.elements import table
from fhirmedia.r4.invariants import place_of
from scripts.definitions import Definitions
from scripts.make_elements import ABSTRACT, CANONICAL

TARGET = Path(__file__).resolve().parent.parent / "profiles" / "r4" / "invariants.json"

IN_THE_CHECKER = frozenset(("ele-1", "ext-1", "dom-2", "dom-3", "dom-4", "dom-5", "ref-1", "txt-1", "txt-2"))
"""Held by `fhirmedia.r4.checker_rules`, `checker_plans` and `narrative` by themselves."""

MISSPELT = {"'no-show'": "'noshow'"}
"""Codes that an expression of the standard spells otherwise than its own code list."""

Row = dict[str, Any]


def made_text(definitions: Definitions, sentences: dict[tuple[str, str], str]) -> str:
    """The whole table."""
    held: list[Row] = []
    left: list[Row] = []
    for row in rows(definitions.resources("StructureDefinition")):
        if not _compiles(row):
            left.append(row)
            continue
        says = sentences.get((row["key"], row["on"]))
        held.append(row | ({"says": says} if says else {}))
    return f'{{"held":[\n{_lines(held)}\n],"left":[\n{_lines(left)}\n]}}\n'


def rows(structures: list[dict[str, Any]]) -> Iterator[Row]:
    """Every constraint once, with the path it stands on."""
    seen: set[tuple[str, str]] = set()
    for structure in structures:
        name = structure["name"]
        if structure["url"] != CANONICAL + name or structure.get("derivation") == "constraint":
            continue
        if structure["kind"] == "logical":
            continue
        for element in structure["snapshot"]["element"]:
            for constraint in element.get("constraint", ()):
                origin = constraint.get("source", structure["url"]).removeprefix(CANONICAL)
                known = (constraint["key"], element["path"])
                inherited = origin != name and (structure["kind"] == "resource" or origin in ABSTRACT)
                if constraint["key"] in IN_THE_CHECKER or inherited or known in seen:
                    continue
                seen.add(known)
                yield {
                    "key": constraint["key"],
                    "on": element["path"],
                    "severity": constraint["severity"],
                    "expression": _spelt(constraint["expression"]),
                }


def _spelt(expression: str) -> str:
    for wrong, right in MISSPELT.items():
        expression = expression.replace(wrong, right)
    return expression


def _compiles(row: Row) -> bool:
    try:
        owner, _, inner = place_of(row["on"])
        root = table(row["on"].partition(".")[0])
        compile_constraint(row["expression"], inner or owner, root=root)
    except (Failure, LookupError):
        return False
    return True


def _lines(listed: list[Row]) -> str:
    return ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in listed)


def main() -> int:
    present = TARGET.read_text("utf-8") if TARGET.exists() else '{"held":[]}'
    known = {(row["key"], row["on"]): row["says"] for row in json.loads(present)["held"] if "says" in row}
    text = made_text(Definitions(), known)
    if "--check" in sys.argv:
        print("the table is as the definitions say" if text == present else f"differs: {TARGET.name}")
        return text != present
    TARGET.write_text(text, "utf-8")
    content = json.loads(text)
    print(f"{len(content['held'])} constraints held, {len(content['left'])} left")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
