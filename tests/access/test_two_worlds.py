"""Nothing a caller can ask tells two worlds apart that differ only in what is hidden from it."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.access.corpus import LINES, corpus, walk
from tests.access.worlds import CALLERS, Someone, Step, World, look, secrets, world

LEAST_REQUESTS = 100


def differences(path: Path, someone: Someone, one: list[Step], other: list[Step]) -> tuple[list[str], int]:
    """What differs, and how much was asked."""
    with (
        world(path / "one", someone, one, secret="first") as first,
        world(path / "other", someone, other, secret="second") as second,
    ):
        asks = list(corpus(someone))
        told = [f"{each.method} {each.path} {each.sent}" for each in asks]
        for each in (first, second):
            _look_at(each, someone)
        walked = len(first.seen) - len(asks)
        told = [f"page {number}" for number in range(walked)] + told
    assert len(first.seen) == len(second.seen), "the walks have different lengths"
    wrong = [
        f"{question}\n  {left}\n  {right}"
        for question, left, right in zip(told, first.seen, second.seen, strict=True)
        if left != right
    ]
    return wrong, len(told)


def _look_at(each: World, someone: Someone) -> None:
    walk(each)
    for question in corpus(someone):
        look(each, question.method, question.path, **dict(question.sent))


def test_the_corpus_tries_every_way() -> None:
    for someone in CALLERS:
        asks = list(corpus(someone))
        assert len(asks) >= LEAST_REQUESTS
        assert frozenset().union(*(each.lines for each in asks)) | {"cursor"} == LINES


@pytest.mark.parametrize("someone", CALLERS, ids=lambda someone: someone.name)
def test_everything_hidden_or_nothing(
    tmp_path: Path, someone: Someone, record_property: Callable[[str, object], None]
) -> None:
    wrong, count = differences(tmp_path, someone, secrets(someone, None), [])
    record_property(f"requests of {someone.name}", count)
    assert wrong == []


@pytest.mark.parametrize("seed", range(2))
def test_hidden_worlds_of_chance(tmp_path: Path, seed: int, record_property: Callable[[str, object], None]) -> None:
    someone = CALLERS[seed % 2]
    hidden = [secrets(someone, Random(f"{seed} {side}")) for side in "ab"]
    assert hidden[0] != hidden[1]
    wrong, count = differences(tmp_path, someone, *hidden)
    record_property(f"requests with seed {seed}", count)
    assert wrong == []


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 22))
def test_many_hidden_worlds_of_chance(tmp_path: Path, seed: int) -> None:
    someone = CALLERS[seed % len(CALLERS)]
    hidden = [secrets(someone, Random(f"{seed} {side}")) for side in "ab"]
    wrong, _ = differences(tmp_path, someone, *hidden)
    assert wrong == []
