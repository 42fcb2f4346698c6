"""What every log that commits in groups promises those who wait for it."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from fhirmedia.backends.group_commit import GroupCommit
from fhirmedia.core.errors import Category, Failure


@contextmanager
def committing(
    commit: Callable[[Sequence[int]], Sequence[int | BaseException]], *, most: int = 256
) -> Iterator[GroupCommit[int, int]]:
    commits: GroupCommit[int, int] = GroupCommit(commit, name="under test", most=most)
    try:
        yield commits
    finally:
        commits.close()


async def test_what_comes_in_one_turn_is_one_group() -> None:
    groups: list[list[int]] = []

    def commit(group: Sequence[int]) -> Sequence[int]:
        groups.append(list(group))
        return [-each for each in group]

    with committing(commit) as commits:
        assert await asyncio.gather(*map(commits.submit, range(40))) == [-each for each in range(40)]
        assert await commits.submit(41) == -41
    assert groups == [list(range(40)), [41]]


async def test_a_group_is_bounded_and_keeps_the_order() -> None:
    groups: list[list[int]] = []

    def commit(group: Sequence[int]) -> Sequence[int]:
        groups.append(list(group))
        return group

    with committing(commit, most=16) as commits:
        assert await asyncio.gather(*map(commits.submit, range(40))) == list(range(40))
    assert groups == [list(range(16)), list(range(16, 32)), list(range(32, 40))]


async def test_each_waiter_of_a_group_that_fails_has_a_failure_of_its_own() -> None:
    def commit(group: Sequence[int]) -> Sequence[int]:
        raise Failure(Category.DISK_FULL, "The storage is full.", retry_after_s=5)

    with committing(commit) as commits:
        told = await asyncio.gather(*map(commits.submit, range(3)), return_exceptions=True)
    failures = [each for each in told if isinstance(each, Failure)]
    assert len({id(each) for each in failures}) == 3
    assert {(each.category, each.issues[0].text, each.retry_after_s) for each in failures} == {
        (Category.DISK_FULL, "The storage is full.", 5)
    }


async def test_what_waits_when_it_is_closed_is_committed_and_answered() -> None:
    entered, go_on = threading.Event(), threading.Event()

    def commit(group: Sequence[int]) -> Sequence[int]:
        entered.set()
        assert go_on.wait(10)
        return group

    with committing(commit) as commits:
        under_way = commits.submit(1)
        await asyncio.to_thread(entered.wait, 10)
        gathered = commits.submit(2)  # not yet handed over
        closing = threading.Thread(target=commits.close)
        closing.start()
        go_on.set()
        async with asyncio.timeout(10):
            assert [await under_way, await gathered] == [1, 2]
        closing.join()


async def test_nothing_is_taken_once_it_is_closed() -> None:
    with committing(lambda group: group) as commits:
        pass
    async with asyncio.timeout(10):
        with pytest.raises(Failure) as refused:
            await commits.submit(1)
    assert refused.value.category is Category.UNAVAILABLE


def test_each_event_loop_has_its_answer() -> None:
    told: list[int] = []

    async def ask(commits: GroupCommit[int, int], number: int) -> None:
        told.extend([await commits.submit(number + each) for each in range(50)])

    with committing(lambda group: group) as commits:
        asking = [threading.Thread(target=lambda at=at: asyncio.run(ask(commits, at))) for at in (0, 100, 200)]
        for each in asking:
            each.start()
        for each in asking:
            each.join(20)
    assert sorted(told) == [at + each for at in (0, 100, 200) for each in range(50)]


async def test_who_comes_while_others_have_their_turn_is_of_the_group() -> None:
    groups: list[list[int]] = []
    others = threading.Lock()
    asked = threading.Event()

    @contextmanager
    def turn() -> Iterator[None]:
        asked.set()
        with others:
            yield

    def commit(group: Sequence[int]) -> Sequence[int]:
        groups.append(list(group))
        return group

    others.acquire()
    commits: GroupCommit[int, int] = GroupCommit(commit, name="under test", turn=turn)
    first = commits.submit(1)
    await asyncio.to_thread(asked.wait)
    second = commits.submit(2)
    await asyncio.sleep(0)
    others.release()
    assert await asyncio.gather(first, second) == [1, 2]
    assert groups == [[1, 2]]
    commits.close()
    assert not others.locked()


async def test_a_turn_that_cannot_be_had_is_told_to_all_who_wait() -> None:
    refusing = True

    @contextmanager
    def turn() -> Iterator[None]:
        if refusing:
            raise OSError("no locks are left")
        yield

    commits: GroupCommit[int, int] = GroupCommit(lambda group: group, name="under test", turn=turn)
    told = await asyncio.gather(*map(commits.submit, range(3)), return_exceptions=True)
    assert [type(each) for each in told] == [OSError] * 3
    refusing = False
    assert await commits.submit(4) == 4
    commits.close()
