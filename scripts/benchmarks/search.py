"""`scripts/bench search`: what searches take inside the server, by size, answered and refused ones apart."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from zoneinfo import ZoneInfo

from fhirmedia.core.records import Key
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.registry import load_registry
from scripts.benchmarks.corpus import UNITS
from scripts.benchmarks.prepare import BASE, ZONE, folder_of, read_once
from scripts.benchmarks.rows import Row, report
from scripts.benchmarks.search_asking import Headers, Taken, answered, lines_taken, side_by_side, taken
from scripts.benchmarks.search_requests import ITEMS, Asked, Drawn, resources
from scripts.benchmarks.servers import Running, authorization, fhirmedia

WIDE = 10_000
"""Where more keys than this match, a refusal is an answer."""

ALL_ANSWERED = 50_000
"""Up to this size nothing may be refused."""

_Rights = UNITS[:5]


@dataclass(frozen=True, slots=True)
class Place:
    """A server on the folder of this size, what to ask it, and the two Callers: of every unit, and of five in 30."""

    size: int
    server: Running
    drawn: Drawn
    everywhere: Headers
    of_units: Headers


def search(sizes: Sequence[int], *, only: Sequence[str] | None, json_file: str | None) -> int:
    """Measure, print, and (with a file) keep the rows."""
    return report(_rows(sizes, only), json_file=json_file)


def _rows(sizes: Sequence[int], only: Sequence[str] | None) -> Iterator[Row]:
    wanted = {name: measure for name, measure in _GROUPS.items() if only is None or name in only}
    lookups: dict[int, dict[str, Taken]] = {}
    for size in sizes:
        drawn = Drawn(size)
        with fhirmedia(read_once(folder_of(size))) as server:
            of_units = {"Authorization": authorization(folder_of(size), units=_Rights)}
            place = Place(size, server, drawn, {"Authorization": authorization(folder_of(size))}, of_units)
            for measure in wanted.values():
                yield from measure(place)
            if only is None or "lookups" in only:
                lookups[size] = _lookups(place)
                yield from _lookup_rows(place, lookups)
    if only is None or "extraction" in only:
        yield from extraction_rows(sizes[0])


def rights_rows(place: Place) -> Iterator[Row]:
    """What a Caller of five units finds among everything."""
    yield _row("site, month, rights, newest 50", place, place.drawn.sites_by_month(), place.of_units, bar_ms=15)
    bar_ms = 15 if place.size < 1_000_000 else 25
    yield _row("two words, rights, newest 50", place, place.drawn.two_words(), place.of_units, bar_ms=bar_ms)


def chain_rows(place: Place) -> Iterator[Row]:
    """Through the patient, both ways."""
    for name, asked in place.drawn.chains().items():
        yield _row(f"{name}, rights, 50", place, asked, place.of_units, bar_ms=50)


def include_rows(place: Place) -> Iterator[Row]:
    """The timeline with and without what goes along, taking turns."""
    plain, included = side_by_side(place.server, *place.drawn.timelines(), place.everywhere)
    ratio = _p50(included) / _p50(plain)
    said = f"{ratio:.2f} × ({_said(included)}; without {_said(plain)})"
    work = f"timeline with subject, operator, encounter, {place.size:,}"
    yield Row(work, said, "≤ 2 × without", ratio <= 2 and not included.refused_ms)


def facet_rows(place: Place) -> Iterator[Row]:
    """Five facets."""
    yield _row("five facets of a patient", place, place.drawn.patient_facets(), place.everywhere, bar_ms=5)
    yield _row("five facets of everything", place, place.drawn.all_facets(), place.everywhere, bar_ms=200)


def line_rows(place: Place) -> Iterator[Row]:
    """Matches as NDJSON, read as they come."""
    wanted = min(100_000, place.drawn.items)
    number, seconds, growth = lines_taken(place.server, place.drawn.lines(), place.everywhere, most=wanted)
    rate = number / seconds
    said = f"{rate:,.0f} resources/s, RSS growth {growth:.0f} MiB"
    met = number == wanted and rate >= 5_000 and growth <= 32
    yield Row(f"NDJSON of {number:,} hits, {place.size:,}", said, "≥ 5 000 resources/s, RSS growth ≤ 32 MiB", met)


def extraction_rows(size: int) -> Iterator[Row]:
    """CPU from a resource to its index entries, by type."""
    extractor = Extractor(load_registry(), base_url=BASE, zone=ZoneInfo(ZONE))
    spent: dict[str, list[float]] = {}
    for resource in [*resources(size, kinds=f"{ITEMS},Encounter,Patient", number=600)]:
        key = Key(resource["resourceType"], resource["id"])
        entries = partial(extractor.entries, resource, key=key, last_updated_ms=0)
        spent.setdefault(key.type, []).append(min(_cpu_ms(entries) for _ in range(3)))
    middle = {kind: statistics.median(each) for kind, each in spent.items()}
    said = ", ".join(f"{kind} {ms:.3f}" for kind, ms in middle.items())
    yield Row("index entries of a resource, CPU", f"{said} ms", "≤ 0.15 ms", max(middle.values()) <= 0.15)


_GROUPS: dict[str, Callable[[Place], Iterator[Row]]] = {
    "rights": rights_rows,
    "chains": chain_rows,
    "includes": include_rows,
    "facets": facet_rows,
    "lines": line_rows,
}


def _lookups(place: Place) -> dict[str, Taken]:
    return {name: taken(place.server, asked, place.everywhere) for name, asked in place.drawn.lookups().items()}


def _lookup_rows(place: Place, taken_at: dict[int, dict[str, Taken]]) -> Iterator[Row]:
    """Each way of looking something up, beside the smallest size so far."""
    smallest = min(taken_at)
    for name, found in taken_at[place.size].items():
        p50, growth = _p50(found), _p50(found) / _p50(taken_at[smallest][name])
        said = f"{_said(found)}; {growth:.2f} × the p50 of {smallest:,}"
        yield Row(f"look-up by {name}, {place.size:,}", said, "p50 ≤ 2 ms, flat (≤ 1.5 ×)", p50 <= 2 and growth <= 1.5)


def _row(work: str, place: Place, asked: Sequence[Asked], headers: Headers, *, bar_ms: float) -> Row:
    """Answers within the bar, refusals only where they are allowed."""
    found = taken(place.server, asked, headers)
    unlawful = sum(place.size <= ALL_ANSWERED or driving <= WIDE for driving in found.refused_driving)
    met = unlawful == 0 and (not found.ms or _p50(found) <= bar_ms)
    said = _said(found) + (f", {unlawful} of them wrongly" if unlawful else "")
    bar = f"p50 ≤ {bar_ms:g} ms" + ("" if place.size <= ALL_ANSWERED else f", refused over {WIDE:,} keys")
    return Row(f"{work}, {place.size:,}", said, bar, met)


def _said(found: Taken) -> str:
    refused = f"{len(found.refused_ms)} refused"
    if found.refused_ms:
        refused += f" in p50 {statistics.median(found.refused_ms):.2f} ms"
    return f"{len(found.ms)} answered, {answered(found)}; {refused}" if found.ms else refused


def _p50(found: Taken) -> float:
    return statistics.median(found.ms)


def _cpu_ms(work: Callable[[], object]) -> float:
    began = time.thread_time()
    work()
    return (time.thread_time() - began) * 1000
