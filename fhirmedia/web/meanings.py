"""What parameters and interactions mean, in sentences for those who read the description of the API."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fhirmedia.r4.conformance import definitions
from fhirmedia.r4.registry import Kind, Registry, SearchParameter


@dataclass(frozen=True, slots=True)
class StatedParameter:
    """A search parameter of a type as the statement names it; `path` is what a standard one looks at."""

    code: str
    kind: Kind
    meaning: str
    path: str | None = None


COMMON: Mapping[str, str] = MappingProxyType({
    "_format": "Form of the answer: json or xml, or a media type; wins over Accept.",
    "_pretty": "true indents the answer.",
})  # fmt: skip
"""What goes with every request."""

RESULT: Mapping[str, str] = MappingProxyType({
    "_sort": "Up to four parameters to order by, separated by commas; a minus sign in front turns the order round.",
    "_count": "Matches on a page: 50 unless stated, at most 1000; 0 asks for the total alone.",
    "_total": "accurate counts all, if there is time, none leaves the total out; across patients it ends at 1000.",
    "_summary": "true, text or data show parts of each match, count only the total.",
    "_elements": "Names of root elements to show, separated by commas; mandatory ones come along.",
    "_include": "Type:parameter; what the matches refer to by it comes along.",
    "_revinclude": "Type:parameter; what refers to the matches by it comes along.",
})  # fmt: skip
"""What shapes the answer of a search."""

KINDS: Mapping[Kind, str] = MappingProxyType({
    "token": "A code: code, system|code, |code or system|. Modifiers: not, text, in, not-in, below, above, missing.",
    "date": "A date or time as precise as is known, with a prefix where wanted: eq, ne, lt, gt, le, ge, sa, eb, ap.",
    "reference": "Type/id, an id or a URL. Modifiers: identifier, missing, or a type. Chains go on with a dot.",
    "string": "The beginning of a word, whatever its case and accents. Modifiers: contains, exact, missing.",
    "uri": "The whole URI. Modifiers: below, above, missing.",
    "number": "A number with a prefix where wanted; its digits say how exact it is.",
    "quantity": "number|system|code, with a prefix where wanted.",
    "composite": "The values of its parts, joined by $.",
    "special": "Words that stand in the resource, with AND, OR, NOT, parentheses and quotes.",
})  # fmt: skip
"""How the values of each kind of search parameter are written."""

INTERACTIONS: Mapping[str, tuple[str, str]] = MappingProxyType({
    "read": ("Read", "The newest version. If-None-Match or If-Modified-Since answer 304 where nothing changed."),
    "vread": ("Read a version", "One version, as it was."),
    "update": ("Update", "A new version of the whole resource. If-Match guards against the change of somebody else."),
    "patch": ("Patch", "A new version with single changes: JSON Patch or FHIRPath Patch."),
    "delete": ("Delete", "A version that marks the end; older versions stay in the history."),
    "create": ("Create", "A new resource under an id of the server; the Location of the answer names it."),
    "search-type": ("Search", "What matches every parameter and may be seen, as a Bundle, page by page."),
    "search-system": ("Search all types", "One search over the types that _type names, each having every parameter."),
    "history-instance": ("History", "All versions that may be seen, newest first."),
    "history-type": ("History of the type", "What happened to resources of the type, newest first."),
    "history-system": ("History of everything", "What happened to anything, newest first."),
    "transaction": ("Batch or transaction", "A Bundle of requests; a transaction is done as a whole or not at all."),
})  # fmt: skip
"""Title and sentence of each interaction, by its code."""


def own_descriptions(registry: Registry) -> dict[str, str]:
    """What our own search parameters say of themselves, by URL."""
    added = {each.get("url") for each in registry.added}
    return {
        str(each["url"]): str(each["description"])
        for each in definitions(registry)
        if "description" in each
        and (each.get("url") in added or str(each.get("url")).startswith(registry.table.canonical))
    }


def stated_parameters(registry: Registry, type: str, described: Mapping[str, str]) -> list[StatedParameter]:
    """The search parameters that the statement names for a type, in its order."""
    known = registry.types[type].parameters
    found = []
    for each in registry.stated(type):
        code, parameter = each["name"], known.get(each["name"])
        if parameter is None:
            found.append(StatedParameter(code, "special", _WORDS.get(code, "As FHIR R4 defines it.")))
        else:
            told = described.get(parameter.url)
            path = None if told else parameter.expression
            found.append(StatedParameter(code, parameter.kind, told or _matched(parameter), path))
    return found


def _matched(parameter: SearchParameter) -> str:
    targets = f", a reference to {' or '.join(parameter.targets)}" if 0 < len(parameter.targets) <= 6 else ""
    return f"{parameter.expression}{targets}."


_WORDS = {"_text": "Words in the narrative.", "_content": "Words anywhere in the resource."}
