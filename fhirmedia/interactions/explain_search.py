"""$explain-search: what a search was understood as, what the caller's rights made of it, and who answers it.

How it is found, and over how many rows, depends on what is hidden from the caller as well, so only operators see that.
"""

from dataclasses import dataclass

from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.search import Parameters, Where
from fhirmedia.r4.codec import dump
from fhirmedia.r4.json_types import JsonArray
from fhirmedia.r4.query_parser import SearchContext, parse_search
from fhirmedia.r4.query_sentence import in_words

OPERATION = "explain-search"


@dataclass(frozen=True, slots=True)
class Explained:
    """A search in words: values its author gave, none of access rules; `plan` is None for whoever is no operator."""

    types: tuple[str, ...]
    understood: str
    narrowed: str
    engine: str
    why: str | None
    plan: str | None
    ignored: tuple[str, ...]


async def explain(archive: Archive, asker: Asker, where: Where, parameters: Parameters, *, lenient: bool) -> Explained:
    """How the search would be answered; nothing is searched. Raises Failure INVALID, FORBIDDEN, TOO_COSTLY."""
    context = SearchContext(archive.registry, archive.base_url, archive.zone, archive.clock())
    parsed = parse_search(parameters, context=context, type=where.type, compartment=where.compartment, lenient=lenient)
    async with archive.custodian.session(asker.caller, OPERATION, note=asker.note) as session:
        found = await session.explain(parsed.query, types=parsed.types, sort=parsed.sort, count=parsed.count)
    told = (found.narrowed, found.engine, found.why, found.plan)
    return Explained(parsed.types, in_words(parsed.query), *told, parsed.ignored)


async def explain_search(
    archive: Archive, asker: Asker, where: Where, parameters: Parameters, *, lenient: bool
) -> bytes:
    """The same as Parameters. Raises as `explain`."""
    told = await explain(archive, asker, where, parameters, lenient=lenient)
    texts = [("understood", told.understood), ("narrowed", told.narrowed), ("engine", told.engine)]
    if told.why is not None:
        texts.append(("why", told.why))
    if told.plan is not None:
        texts.append(("plan", told.plan))
    parts: JsonArray = [{"name": "type", "valueCode": kind} for kind in told.types]
    parts.extend({"name": name, "valueString": text} for name, text in texts)
    parts.extend({"name": "ignored", "valueString": name} for name in told.ignored)
    return dump({"resourceType": "Parameters", "parameter": parts})
