"""Which part of a resource a read asks for: `_summary` and `_elements` (FHIR R4, http 3.1.0.1)."""

from dataclasses import dataclass, replace

from starlette.requests import Request

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Record
from fhirmedia.r4.query_results import read_results
from fhirmedia.r4.query_string import decode_query
from fhirmedia.r4.registry import Registry
from fhirmedia.r4.summary import Summary, reduce_body
from fhirmedia.web.headers import OF_EVERY_REQUEST

_CHOOSING = frozenset({"_summary", "_elements"})


@dataclass(frozen=True, slots=True)
class Part:
    """What is wanted of a resource; by default all of it."""

    summary: Summary = "false"
    elements: tuple[str, ...] = ()

    def of(self, record: Record) -> Record:
        """The same version with this part as its body, tagged SUBSETTED where something is left out."""
        if record.body is None or (self.summary == "false" and not self.elements):
            return record
        return replace(record, body=reduce_body(record.body, summary=self.summary, elements=self.elements))


WHOLE = Part()


def part_of(request: Request, kind: str, registry: Registry) -> Part:
    """What the address asks for. Raises INVALID for any other parameter, and for one that is repeated or malformed."""
    if not request.scope["query_string"]:
        return WHOLE
    pairs = [pair for pair in decode_query(request.scope["query_string"]) if pair[0] not in OF_EVERY_REQUEST]
    if any(name not in _CHOOSING for name, _ in pairs):
        raise Failure(Category.INVALID, "A parameter is not one of this interaction.", code="not-supported")
    if len(dict(pairs)) < len(pairs):
        raise Failure(Category.INVALID, "A parameter of a read is given once.", code="value")
    chosen = read_results(dict(pairs), registry=registry, types=[kind])
    if chosen.summary == "count":
        raise Failure(Category.INVALID, "A read counts nothing; _summary is true, text, data or false.", code="value")
    return Part(chosen.summary, chosen.elements)
