"""The index beside the database tells no two worlds apart either: it counts, finds and divides what the caller may see.

As `test_two_worlds_search`, with a real Elasticsearch beside each world.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fhirmedia.backends.elastic.searching import Searching
from fhirmedia.core.index_address import parse_index_address
from fhirmedia.core.settings import Settings
from tests.access.search_asks import Ask, Asks, told
from tests.access.search_worlds import PAIRS, Looker, entries, hidden, puts, search_world, shown
from tests.access.test_two_worlds_search import Worlds, unlike
from tests.access.watching import watched
from tests.access.worlds import Someone
from tests.following.beside import drained

pytestmark = pytest.mark.services

ASKED = 75
"""By each looker, about."""
ASKED_IN_ALL = 500
HELD = ("Media", "DocumentReference", "ImagingStudy", "DiagnosticReport", "Patient")
BY_DATABASE = frozenset({"history", "AuditEvent", "$access-log", "$everything", "$explain-search"})
"""Forms that no index answers."""


@contextmanager
def worlds(path: Path, address: str, someone: Someone) -> Iterator[Worlds]:
    """One with secrets and one without, each with an index that has everything."""
    secrets = hidden(someone)
    one, other = (Settings(environment="test", index=parse_index_address(f"{address}{name}")) for name in "ab")
    with (
        watched() as watch,
        search_world(path / "secret", puts(secrets), settings=one) as first,
        search_world(path / "never", settings=other) as second,
    ):
        for each in (first, second):
            drained(each.served)
        yield Worlds(watch, first, first, second)


def asks_of(someone: Someone, looker: Looker) -> Sequence[Ask]:
    """Those an index may answer."""
    about = replace(looker, types=tuple(each for each in looker.types if each in HELD))
    asks = Asks(about, entries([*shown(), *hidden(someone)])).some(ASKED, of_each=1)
    return [ask for ask in asks if not ask.forms & BY_DATABASE]


def compared(servers: Worlds, looker: Looker, asks: Sequence[Ask]) -> list[str]:
    """What differs. Where the database answered in the index's place, the machine was busy: that is asked again."""
    wrong, waiting = list[str | None](), asks
    for pause_s in (0, 2, 10):
        time.sleep(pause_s)
        one, other = (servers.ask(world, looker, waiting) for world in (servers.secret, servers.never))
        both = [(ask, first.pages, second.pages) for ask, first, second in zip(waiting, one, other, strict=True)]
        late = [each for each in both if any("database answered" in page.body for page in (*each[1], *each[2]))]
        wrong += [unlike(*each) for each in both if each not in late]
        waiting = [ask for ask, _, _ in late]
        if not waiting:
            break
    wrong += [f"the database answered {told(ask)}" for ask in waiting]
    return [each for each in wrong if each]


@pytest.mark.parametrize(("someone", "lookers"), PAIRS, ids=[someone.name for someone, _ in PAIRS])
def test_no_search_of_the_index_tells_the_worlds_apart(
    tmp_path: Path,
    index_address: str,
    someone: Someone,
    lookers: Sequence[Looker],
    record_property: Callable[[str, object], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent = Counter[str]()
    send = Searching.send

    async def counted(*given: Any, **named: Any) -> Any:
        sent["now"] += 1
        return await send(*given, **named)

    monkeypatch.setattr(Searching, "send", counted)
    with worlds(tmp_path, index_address, someone) as servers:
        for looker in lookers:
            asks = asks_of(someone, looker)
            assert compared(servers, looker, asks) == []
            record_property(f"searches of the index for {looker.name}", sent["now"])
            assert sent.pop("now") > len(asks)


def test_enough_is_asked() -> None:
    assert sum(len(asks_of(someone, looker)) for someone, lookers in PAIRS for looker in lookers) >= ASKED_IN_ALL
