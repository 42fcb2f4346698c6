"""Range requests (RFC 9110, section 14): parsed with bounds, answered by ranges in the order asked."""

import itertools
import re

from fhirmedia.core.errors import Category, Failure

MOST_RANGES = 8
_SPEC = re.compile(r"(?P<first>[0-9]{0,18})-(?P<last>[0-9]{0,18})\Z")

Span = tuple[int, int]
"""`[start, stop)` in bytes."""


def parse_range(header: str, size: int) -> list[Span] | None:
    """The spans a Range header asks of content of this size; None if it is to be ignored (other unit, malformed).

    Raises Failure RANGE if none can be satisfied, there are more than eight, or they overlap.
    """
    unit, equals, given = header.partition("=")
    if unit.strip().lower() != "bytes" or not equals or len(header) > 400:
        return None if len(header) <= 400 else _refuse_many()
    specs = [part.strip() for part in given.split(",") if part.strip()]
    if len(specs) > MOST_RANGES:
        return _refuse_many()
    spans: list[Span] = []
    for spec in specs:
        match = _SPEC.match(spec)
        if match is None or spec == "-":
            return None
        span = _span(match["first"], match["last"], size)
        if span is None:
            return None
        if span[0] < span[1]:
            spans.append(span)
    if not specs:
        return None
    if not spans:
        raise Failure(Category.RANGE, "The content is shorter than the range asked for.")
    ordered = sorted(spans)
    if any(before[1] > after[0] for before, after in itertools.pairwise(ordered)):
        raise Failure(Category.RANGE, "Ranges must not overlap.")
    return spans


def _span(first: str, last: str, size: int) -> Span | None:
    """The span of one spec; empty if it cannot be satisfied, None if it is invalid."""
    if not first:
        return max(0, size - int(last)), size
    start = int(first)
    if last and int(last) < start:
        return None
    stop = min(size, int(last) + 1) if last else size
    return (start, stop) if start < size else (size, size)


def _refuse_many() -> list[Span]:
    raise Failure(Category.RANGE, f"At most {MOST_RANGES} ranges may be asked for at once.")
