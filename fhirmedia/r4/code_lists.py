"""Code lists that R4 binds as required: may this code stand here?"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from fhirmedia.r4.json_types import Json
from fhirmedia.r4.profiles_path import profiles


@dataclass(frozen=True, slots=True)
class _CodeList:
    """Codes by system, None where every code of a system is listed; `pattern` describes codes nobody can list."""

    systems: Mapping[str, frozenset[str] | None]
    pattern: str | None


def list_systems(name: str) -> tuple[str, ...]:
    """The code systems of a required list, in its order: what a bare code of an element bound to it implies."""
    return tuple(_code_list(name).systems)


def listed_codes(name: str) -> tuple[str, ...] | None:
    """Every code of a required list, each once; None where the list cannot name them all."""
    facts = _code_list(name)
    if facts.pattern is not None or any(listed is None for listed in facts.systems.values()):
        return None
    return tuple(sorted({code for listed in facts.systems.values() for code in listed or ()}))


@cache
def code_test(name: str) -> Callable[[Json], bool]:
    """Whether a bare code (datatype code) is in the list `profiles/r4/codes/{name}.json`, or fits its pattern."""
    facts = _code_list(name)
    if facts.pattern is not None:
        fits = re.compile(facts.pattern).fullmatch
        return lambda code: isinstance(code, str) and fits(code) is not None
    codes = frozenset(code for listed in facts.systems.values() for code in listed or ())
    return lambda code: isinstance(code, str) and code in codes


@cache
def coding_test(name: str) -> Callable[[Json, Json], bool]:
    """Whether a system and a code together are in the list; a system listed without codes admits each of its codes."""
    systems = _code_list(name).systems

    def has(system: Json, code: Json) -> bool:
        if not isinstance(system, str) or not isinstance(code, str) or system not in systems:
            return False
        listed = systems[system]
        return listed is None or code in listed

    return has


@cache
def _code_list(name: str) -> _CodeList:
    facts: dict[str, Any] = json.loads(profiles().joinpath("r4", "codes", f"{name}.json").read_text("utf-8"))
    systems = {system: None if listed is None else frozenset(listed) for system, listed in facts["systems"].items()}
    return _CodeList(systems, facts.get("pattern"))
