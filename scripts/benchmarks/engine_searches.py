"""Searches of three sides, taking turns: our server with Elasticsearch, our server without, and the searches that the
first of them sends, sent to the same Elasticsearch by the same client.

Times are those of whoever asks. No search is asked twice of a side, and Elasticsearch keeps no answers.
"""

import asyncio
import http.client
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from fhirmedia.backends.elastic.client import ElasticClient
from fhirmedia.core.errors import Failure
from fhirmedia.core.index_address import parse_index_address
from scripts.benchmarks.engine_recorder import Recorder, Sent
from scripts.benchmarks.rows import Row
from scripts.benchmarks.search_asking import Headers, answer
from scripts.benchmarks.search_requests import Asked, Drawn
from scripts.benchmarks.servers import Running

OVER_RAW_MS = 4.0
TIMELINE_P95_MS = 50.0
WARM = 10
SECONDS = 90.0
"""So long a row goes on, at most."""

_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Work:
    """A row: what each turn asks, as whom, and its bars beside that of the raw searches."""

    name: str
    turns: Sequence[Sequence[Asked]]
    headers: Headers
    p95_ms: float | None = None
    beats_database: bool = False


@dataclass(slots=True)
class Recorded:
    """A turn, and the searches our engine makes of it."""

    asked: Sequence[Asked]
    sent: Sequence[Sent]


class Raw:
    """Sends searches to an Elasticsearch by the product's own client, and nothing else of the product."""

    def __init__(self, address: str) -> None:
        self._runner = asyncio.Runner()
        self._client = ElasticClient(parse_index_address(address))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self._client.close())
        self._runner.close()

    def taken_ms(self, searches: Sequence[Sent]) -> float | None:
        """Milliseconds they take, one after the other; None where Elasticsearch does not answer one."""
        try:
            return self._runner.run(self._asked(searches))
        except Failure:
            return None

    async def _asked(self, searches: Sequence[Sent]) -> float:
        began = time.perf_counter()
        for each in searches:
            await self._client.ask("POST", each.path, each.body, within_s=_WITHIN_S)
        return (time.perf_counter() - began) * 1000


@dataclass(slots=True)
class Side:
    """Milliseconds of whole turns, and how many turns were not answered."""

    ms: list[float] = field(default_factory=list)
    refused: int = 0

    def add(self, ms: float | None) -> None:
        """One more turn; None for one that was not answered."""
        if ms is None:
            self.refused += 1
        else:
            self.ms.append(ms)

    @property
    def p50(self) -> float:
        """Of what was answered."""
        return statistics.median(self.ms) if self.ms else float("nan")

    @property
    def p95(self) -> float:
        """Of what was answered."""
        return sorted(self.ms)[int(len(self.ms) * 0.95)] if self.ms else float("nan")

    def __str__(self) -> str:
        said = f"p50 {self.p50:.2f} p95 {self.p95:.2f} ms" if self.ms else "nothing answered"
        return f"{said}, {self.refused} not answered" if self.refused else said


def works(drawn: Drawn, everywhere: Headers, of_units: Headers) -> list[Work]:
    """What is measured."""
    return [
        Work(
            "patient timeline, newest 50, five facets",
            drawn.timelines_with_facets(),
            everywhere,
            p95_ms=TIMELINE_P95_MS,
        ),
        Work("two words, site, rights, newest 50", drawn.words_at_sites(), of_units, beats_database=True),
        Work("a very common word, newest 50, five facets", drawn.common_words(), everywhere, beats_database=True),
    ]


def recorded(work: Work, port: int, recorder: Recorder) -> list[Recorded]:
    """The turns of which our engine makes searches, with these; the server on the port asks through the recorder."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_WITHIN_S)
    found = []
    for turn in work.turns:
        recorder.taken()
        for each in turn:
            answer(connection, each, work.headers)
        sent = recorder.taken()
        if sent:
            found.append(Recorded(turn, sent))
    connection.close()
    return found


def measured(work: Work, turns: Sequence[Recorded], *, ours: Running, database: Running, raw: Raw) -> Row:
    """All three sides, each turn begun by another of them; the first turns warm up."""
    asking: dict[str, Callable[[Recorded], float | None]] = {
        "ours": _of_server(ours.port, work.headers),
        "raw": lambda turn: raw.taken_ms(turn.sent),
        "database": _of_server(database.port, work.headers),
    }
    sides = {name: Side() for name in asking}
    order, warm, rest = list(asking), turns[:WARM], turns[WARM:]
    for turn in warm:
        for ask in asking.values():
            ask(turn)
    cpu_s, began, number = ours.cpu_s, time.monotonic(), 0
    for turn in rest:
        order = [*order[1:], order[0]]
        for name in order:
            sides[name].add(asking[name](turn))
        number += 1
        if time.monotonic() - began > SECONDS:
            break
    return _row(work, rest, sides, (ours.cpu_s - cpu_s) * 1000 / max(number, 1))


def _row(work: Work, turns: Sequence[Recorded], sides: dict[str, Side], cpu_ms: float) -> Row:
    ours, raw, database = sides["ours"], sides["raw"], sides["database"]
    searches = statistics.median(len(turn.sent) for turn in turns) if turns else 0
    said = f"{len(ours.ms)} turns: {ours} ({cpu_ms:.2f} ms CPU); raw {raw} ({searches:.0f} searches); SQL {database}"
    bars = [f"p50 ≤ raw + {OVER_RAW_MS:g} ms"]
    met = bool(ours.ms) and not ours.refused and ours.p50 <= raw.p50 + OVER_RAW_MS
    if work.p95_ms is not None:
        bars.append(f"p95 ≤ {work.p95_ms:g} ms")
        met = met and ours.p95 <= work.p95_ms
    if work.beats_database:
        bars.append("faster than SQL")
        met = met and (not database.ms or ours.p50 < database.p50)
    return Row(work.name, said, ", ".join(bars), met)


def _of_server(port: int, headers: Headers) -> Callable[[Recorded], float | None]:
    """Milliseconds a server of ours takes for a turn; None where it does not answer all of it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_WITHIN_S)

    def ask(turn: Recorded) -> float | None:
        began = time.perf_counter()
        try:
            found = [answer(connection, each, headers) for each in turn.asked]
        except (RuntimeError, OSError):
            connection.close()
            return None
        return None if None in found else (time.perf_counter() - began) * 1000

    return ask
