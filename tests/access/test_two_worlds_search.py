"""No form of search tells two worlds apart that differ only in what is hidden: neither by answers nor by work done.

Three worlds stand beside each other: one with secrets, one in which they were deleted, one that never held any. The
answers are equal in all three. The statements are equal in the first two: that a name of a code system or a parameter
was ever used in the archive is known to its dictionaries, and no secret.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import httpx
import pytest

from tests.access.search_asks import FORMS, Ask, Asks, told
from tests.access.search_worlds import PAIRS, PATIENTS, Looker, deletes, entries, hidden, puts, search_world, shown
from tests.access.watching import Watch, watched
from tests.access.worlds import Seen, Someone, World, look

ASKED = 110
"""By each looker, about."""
ASKED_IN_ALL = 500
"""At least, of each pair of worlds together, and answered with a result."""
MOST_PAGES = 6

BEGUN_BY_COUNT = "where a search has several conditions, it begins with the one that has the fewest rows, whoever's"
WALKED_OR_SORTED = "a stretch of time is sorted where it has few rows, whoever's, and otherwise walked"
WALKED_BY_STATUS = "a history reached by a status alone is walked version by version, up to a bound"
DECLARED = {
    "two conditions": BEGUN_BY_COUNT,
    "$media-stats": BEGUN_BY_COUNT,
    "_lastUpdated": WALKED_OR_SORTED,
    "history": WALKED_BY_STATUS,
}
"""Forms of which the work may differ, and why; their answers may not."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an Ask: its answers, page by page, and the statements that led to them."""

    pages: tuple[Seen, ...]
    statements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Worlds:
    """The servers, watched."""

    watch: Watch
    secret: World
    ended: World
    never: World

    def ask(self, world: World, looker: Looker, asks: Sequence[Ask]) -> list[Answer]:
        """What this looker is answered in one world."""
        world.headers = world.served.headers(looker.scope, user="Practitioner/dr", **looker.bound)
        return [self._answer(world, ask, number) for number, ask in enumerate(asks, start=1)]

    def _answer(self, world: World, ask: Ask, number: int) -> Answer:
        self.watch.clear()
        world.asked = 1000 * number
        pages = [look(world, ask.method, ask.path, **dict(ask.sent))]
        while "next page" in ask.forms and len(pages) < MOST_PAGES and (following := _next(pages[-1])):
            pages.append(look(world, "GET", following))
        return Answer(tuple(world.seen[-len(pages) :]), tuple(self.watch.statements))


@contextmanager
def worlds(path: Path, someone: Someone) -> Iterator[Worlds]:
    secrets = hidden(someone)
    with (
        watched() as watch,
        search_world(path / "secret", puts(secrets)) as first,
        search_world(path / "ended", puts(secrets), deletes(secrets)) as second,
        search_world(path / "never") as third,
    ):
        yield Worlds(watch, first, second, third)


def asks_of(someone: Someone, looker: Looker, most: int = ASKED, *, of_each: int = 2) -> Sequence[Ask]:
    return Asks(looker, entries([*shown(), *hidden(someone)])).some(most, of_each=of_each)


def _next(page: httpx.Response) -> str | None:
    """Of a Bundle, or of the Parameters of an access log."""
    body = page.json() if page.status_code == 200 and "ndjson" not in page.headers["content-type"] else {}
    links = [each["url"] for each in body.get("link", ()) if each["relation"] == "next"]
    links += [each["valueUri"] for each in body.get("parameter", ()) if each["name"] == "next"]
    return next(iter(links), None)


def unlike(ask: Ask, one: Sequence[object], other: Sequence[object]) -> str | None:
    """Where two answers differ, or two lists of statements."""
    pairs = [pair for pair in zip_longest(one, other) if pair[0] != pair[1]]
    return f"{told(ask)}: {pairs[0][0]!r:.800} BUT {pairs[0][1]!r:.800}" if pairs else None


def compared(servers: Worlds, someone: Someone, looker: Looker, *, most: int) -> tuple[list[str], Counter[str]]:
    """What differs, and how often each form was asked for and answered with a result."""
    asks = asks_of(someone, looker, most)
    # Each is asked the same in the same order: what was asked is in the logs that are searched.
    one, ended, never = (servers.ask(world, looker, asks) for world in (servers.secret, servers.ended, servers.never))
    wrong = [
        unlike(ask, each.pages, first.pages)
        for others in (ended, never)
        for ask, first, each in zip(asks, one, others, strict=True)
    ]
    for ask, first, second in zip(asks, one, ended, strict=True):
        if not ask.forms & DECLARED.keys():
            wrong.append(unlike(ask, first.statements, second.statements))
    answered = [ask for ask, each in zip(asks, one, strict=True) if each.pages[0].status == 200]
    return [each for each in wrong if each], Counter(form for ask in answered for form in {*ask.forms, "in all"})


@pytest.mark.parametrize(("someone", "lookers"), PAIRS, ids=[someone.name for someone, _ in PAIRS])
def test_no_search_tells_the_worlds_apart(
    tmp_path: Path, someone: Someone, lookers: Sequence[Looker], record_property: Callable[[str, object], None]
) -> None:
    with worlds(tmp_path, someone) as servers:
        for looker in lookers:
            wrong, answered = compared(servers, someone, looker, most=ASKED)
            record_property(f"searches of {looker.name}", answered["in all"])
            print(f"{looker.name}: {answered['in all']} searches answered in {len(answered) - 1} forms")
            assert wrong == []
            assert answered["in all"] > ASKED / 3


def test_enough_is_asked_in_every_form() -> None:
    asks = [ask for someone, lookers in PAIRS for looker in lookers for ask in asks_of(someone, looker)]
    print(f"{len(asks)} searches")
    assert len(asks) >= ASKED_IN_ALL
    counted = Counter(form for ask in asks for form in ask.forms)
    assert counted.keys() == FORMS
    assert min(counted.values()) >= 4, counted


def test_the_searches_are_sharp(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """The control: to one who may see everything, the same searches tell the worlds apart, in every form."""
    everything = Looker("one who sees everything", "system/*.cruds", {"roles": ["auditor"]})
    asks = asks_of(PATIENTS, PAIRS[0][1][0], of_each=4)
    with worlds(tmp_path, PATIENTS) as servers:
        one, other = (servers.ask(world, everything, asks) for world in (servers.secret, servers.never))
    sharp = [ask for ask, *pair in zip(asks, one, other, strict=True) if pair[0].pages != pair[1].pages]
    record_property("searches that tell the worlds apart", len(sharp))
    assert FORMS - {form for ask in sharp for form in ask.forms} == {"$explain-search"}, (
        "which tells of the question only"
    )
    worked = [ask for ask, *pair in zip(asks, one, other, strict=True) if pair[0].statements != pair[1].statements]
    assert len(worked) > len(asks) / 4
    assert len(sharp) < len(asks)


@pytest.mark.long
@pytest.mark.parametrize(("someone", "lookers"), PAIRS, ids=[someone.name for someone, _ in PAIRS])
def test_none_of_all_searches_tells_the_worlds_apart(
    tmp_path: Path, someone: Someone, lookers: Sequence[Looker]
) -> None:
    with worlds(tmp_path, someone) as servers:
        for looker in lookers:
            assert compared(servers, someone, looker, most=100_000)[0] == []
