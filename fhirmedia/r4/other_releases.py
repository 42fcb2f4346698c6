"""Names R4 does not have and another release of FHIR has, so that a refusal can say where a client got them from."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from fhirmedia.r4.profiles_path import profiles


def element_hint(owner: str, name: str) -> str:
    """The end of a sentence about an unknown element of a table (`; R5 has it`); empty if no release has it."""
    releases = _facts()["elements"].get(owner, {})
    return _hint([release for release, names in releases.items() if name.removeprefix("_") in names])


def type_hint(name: str) -> str:
    """The same about an unknown resource type."""
    return _hint([release for release, names in _facts()["types"].items() if name in names])


def _hint(releases: Sequence[str]) -> str:
    if not releases:
        return ""
    return f"; {' and '.join(releases)} {'has' if len(releases) == 1 else 'have'} it"


@cache
def _facts() -> Mapping[str, Any]:
    facts: dict[str, Any] = json.loads(profiles().joinpath("r4", "other-releases.json").read_text("utf-8"))
    return facts
