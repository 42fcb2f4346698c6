"""Nothing a caller can ask tells two worlds apart that differ only in what is hidden from it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from random import Random

import pytest

from tests.access.corpus import LINES, corpus, walk
from tests.access.enumeration import ROUTES
from tests.access.search_worlds import PAIRS
from tests.access.test_two_worlds_search import asks_of
from tests.access.worlds import CALLERS, Seen, Someone, Step, look, secrets, world

LEAST_REQUESTS = 100
FIRST_QUESTION = 1000
"""Its number, whatever number of pages the walks before it had."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A question that was answered differently; pages of walks count as the line `cursor`."""

    lines: frozenset[str]
    question: str
    answers: tuple[Seen, Seen]


def differences(
    path: Path, someone: Someone, one: list[Step], other: list[Step], *, looking: str | None = None
) -> tuple[list[Difference], int]:
    """What differs to someone (or whoever is `looking`, by scope), and how much was asked."""
    with (
        world(path / "one", someone, one, secret="first") as first,
        world(path / "other", someone, other, secret="second") as second,
    ):
        asks = list(corpus(someone))
        pages = []
        for each in (first, second):
            if looking is not None:
                each.headers = each.served.headers(looking, roles=["auditor"])
            walk(each)
            pages.append(len(each.seen))
            each.asked = FIRST_QUESTION
            for question in corpus(someone):
                look(each, question.method, question.path, **dict(question.sent))
    found = [
        Difference(frozenset({"cursor"}), f"page {number}", answers)
        for number, answers in enumerate(zip_longest(first.seen[: pages[0]], second.seen[: pages[1]]))
        if answers[0] != answers[1]
    ]
    for question, *answers in zip(asks, first.seen[pages[0] :], second.seen[pages[1] :], strict=True):
        if answers[0] != answers[1]:
            told = f"{question.method} {question.path} {question.sent}"
            found.append(Difference(question.lines, told, (answers[0], answers[1])))
    return found, len(first.seen)


def test_the_corpus_tries_every_way() -> None:
    for someone in CALLERS:
        asks = list(corpus(someone))
        assert len(asks) >= LEAST_REQUESTS
        assert frozenset().union(*(each.lines for each in asks)) | {"cursor"} == LINES


def test_every_route_is_asked() -> None:
    """Of this corpus or that of the searches: a route that is added must be among its questions."""
    pairs = [(someone, looker) for someone, lookers in PAIRS for looker in lookers]
    asked = {(each.method, each.path) for someone in CALLERS for each in corpus(someone)}
    asked |= {(each.method, each.path) for pair in pairs for each in asks_of(*pair)}
    unasked = [
        route for route, what in ROUTES.items() if what != "public" and not any(is_of(*each, route) for each in asked)
    ]
    assert unasked == []


def is_of(method: str, path: str, route: tuple[str, str]) -> bool:
    """Whether a request is one of a route; a parameter takes no segment that begins as FHIR's own words do."""
    template = re.sub(r"\\{[a-z]+\\}", "[^/_$][^/]*", re.escape(route[1]))
    return method == route[0] and re.fullmatch(template, "/fhir" + path.partition("?")[0]) is not None


@pytest.mark.parametrize("someone", CALLERS, ids=lambda someone: someone.name)
def test_everything_hidden_or_nothing(
    tmp_path: Path, someone: Someone, record_property: Callable[[str, object], None]
) -> None:
    wrong, count = differences(tmp_path, someone, secrets(someone, None), [])
    record_property(f"requests of {someone.name}", count)
    assert wrong == []


def test_the_corpus_is_sharp(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """The control: to one who may see everything, the same questions tell the worlds apart, in every way they try."""
    someone = CALLERS[0]
    found, _ = differences(tmp_path, someone, secrets(someone, None), [], looking="system/*.cruds")
    record_property("differences to one who sees everything", len(found))
    told_apart = frozenset().union(*(each.lines for each in found))
    assert LINES - told_apart == {"labels"}


@pytest.mark.parametrize("seed", range(1))
def test_hidden_worlds_of_chance(tmp_path: Path, seed: int, record_property: Callable[[str, object], None]) -> None:
    someone = CALLERS[1]
    hidden = [secrets(someone, Random(f"{seed} {side}")) for side in "ab"]
    assert hidden[0] != hidden[1]
    wrong, count = differences(tmp_path, someone, *hidden)
    record_property(f"requests with seed {seed}", count)
    assert wrong == []


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 21))
def test_many_hidden_worlds_of_chance(tmp_path: Path, seed: int) -> None:
    someone = CALLERS[seed % len(CALLERS)]
    hidden = [secrets(someone, Random(f"{seed} {side}")) for side in "ab"]
    wrong, _ = differences(tmp_path, someone, *hidden)
    assert wrong == []
