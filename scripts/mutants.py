"""Weaken every guard of access/ and custody/ in turn and see a test turn red: scripts/mutants.py [--list] [FILE…]

One process imports everything and collects the tests named in tests/mutants.toml. A first pass runs them once and
notes which lines each test reaches and how long it takes. Then, for each mutant, a fork swaps the code of the changed
function and runs the tests that reach the changed line, until one fails: first the one that killed it the last time
(`--remember` notes which that is). A mutant that no test kills fails the check,
unless the table excuses it with a reason; an excuse that is no longer needed fails it too. What is listed as `owed`
a test is not tried, but counted in each run; `--owed` tries these alone and names those that survive.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType, FunctionType
from typing import Any, Self

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.mutant_killers import Killers
from scripts.mutant_placing import living_functions, swap
from scripts.mutations import Mutant, mutants_of

SURVIVED, KILLED, SLOW, BROKEN = 0, 1, 2, 3
"""How a trial ends: all tests passed, one failed, time ran out, or the mutant could not be put in place."""


@dataclass(frozen=True, slots=True)
class Table:
    """tests/mutants.toml: what is weakened, which tests judge, and which survivors are excused."""

    root: Path
    packages: tuple[str, ...]
    tests: tuple[str, ...]
    slowest_test_s: float
    excuses: dict[str, str]
    owed: frozenset[str] = frozenset()


def read_table(path: Path) -> Table:
    """The table; its paths are relative to the folder above its own."""
    document = tomllib.loads(path.read_text())
    excuses = {excuse["mutant"]: excuse["why"] for excuse in document.get("excused", ())}
    return Table(
        root=path.resolve().parent.parent,
        packages=tuple(document["packages"]),
        tests=tuple(document["tests"]),
        slowest_test_s=document["slowest_test_s"],
        excuses=excuses,
        owed=frozenset(document.get("owed", ())),
    )


class Reach:
    """Lines of the watched files that a test runs through, in every thread it starts."""

    def __init__(self, files: frozenset[str]) -> None:
        self._files = files
        self.lines: set[tuple[str, int]] = set()

    def __enter__(self) -> Self:
        threading.settrace(self._enter)
        sys.settrace(self._enter)
        return self

    def __exit__(self, *_problem: object) -> None:
        sys.settrace(None)
        threading.settrace(None)

    def _enter(self, frame: FrameType, _event: str, _argument: object) -> Any:
        return self._line if frame.f_code.co_filename in self._files else None

    def _line(self, frame: FrameType, event: str, _argument: object) -> Any:
        if event == "line":
            self.lines.add((frame.f_code.co_filename, frame.f_lineno))
        return self._line


@dataclass(slots=True)
class Judges:
    """What the first pass found: by test, the seconds it takes and the lines it reaches."""

    seconds: dict[str, float] = field(default_factory=dict)
    reached: dict[tuple[str, int], list[str]] = field(default_factory=lambda: defaultdict(list))
    left_out: list[str] = field(default_factory=list)


class Trials:
    """A pytest plugin: instead of running the collected tests once, runs the trials."""

    def __init__(
        self,
        table: Table,
        sources: Mapping[str, str],
        say: Callable[[str], None],
        *,
        of_owed: bool,
        killers: Killers,
    ) -> None:
        self._table = table
        self._sources = sources
        self._killers = killers
        every = [mutant for path, source in sources.items() for mutant in mutants_of(path, source)]
        self._mutants = [mutant for mutant in every if (mutant.name in table.owed) == of_owed]
        self._left = len(every) - len(self._mutants) if not of_owed else 0
        self._say = say
        self._failed = False
        self._kills: Counter[str] = Counter()
        self.outcome = 1
        self._room = Path(tempfile.mkdtemp(prefix="mutants-"))
        self._functions: list[FunctionType] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._failed |= report.failed

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        try:
            self.outcome = self._judge(session)
        finally:
            shutil.rmtree(self._room, ignore_errors=True)
        return True

    def _judge(self, session: pytest.Session) -> int:
        if session.testsfailed:
            self._say("mutants: the tests could not be collected; run scripts/test first")
            return 1
        started = time.monotonic()
        judges = self._first_pass(session.items)
        if not judges.seconds:
            self._say("mutants: no test can judge; run scripts/test first")
            return 1
        self._say(
            f"mutants: {len(self._mutants)} mutants, {len(judges.seconds)} tests judge"
            f" (first pass {time.monotonic() - started:.0f} s)"
        )
        for test in judges.left_out:
            self._say(f"does not judge: {test}")
        items = {item.nodeid: item for item in session.items}
        self._functions = living_functions(frozenset(str(self._table.root / mutant.path) for mutant in self._mutants))
        jobs = [partial(self._trial, mutant, items, judges) for mutant in self._mutants]
        limits = [self._limit(mutant, judges) for mutant in self._mutants]
        results = list(self._run(jobs, limits=limits, ended=partial(self._ended, judges)))
        return self._report(results, judges, seconds=time.monotonic() - started)

    def _report(self, results: Sequence[int], judges: Judges, *, seconds: float) -> int:
        survivors = [mutant for mutant, result in zip(self._mutants, results, strict=True) if result == SURVIVED]
        broken = [mutant for mutant, result in zip(self._mutants, results, strict=True) if result == BROKEN]
        excused = [mutant for mutant in survivors if mutant.name in self._table.excuses]
        paths = {mutant.path for mutant in self._mutants}
        idle = {name for name in self._table.excuses if name.partition(" ")[0] in paths} - {m.name for m in excused}
        for mutant in broken:
            self._say(f"not tried: {mutant.path}:{mutant.lines[0]} {mutant.name}")
        for name in sorted(idle):
            self._say(f"excuse without a survivor: {name}")
        counts = Counter(results)
        open_ones = len(survivors) - len(excused)
        self._say(
            f"mutants: {len(results)} made, {counts[KILLED] + counts[SLOW]} killed ({counts[SLOW]} by time),"
            f" {len(excused)} excused with a reason, {open_ones} survived, {len(broken)} not tried;"
            f" {seconds:.0f} s"
        )
        if self._left:
            self._say(f"mutants: {self._left} are owed a test and were not tried; --owed tries them")
        return int(bool(open_ones or broken or idle))

    def _ended(self, judges: Judges, number: int, result: int, killer: str | None) -> None:
        """Survivors are told at once, so that a run that is ended early has told something."""
        mutant = self._mutants[number]
        if killer is not None:
            self._kills[killer] += 1
            self._killers.note(mutant.name, killer)
        if result == SURVIVED and mutant.name not in self._table.excuses:
            reached = bool(self._order(mutant, judges))
            self._say(f"survived: {mutant.path}:{mutant.lines[0]}{'' if reached else ' (no test comes here)'}")
            self._say(f"    mutant = {json.dumps(mutant.name, ensure_ascii=False)}")
        if (number + 1) % 100 == 0:
            self._say(f"    {number + 1} of {len(self._mutants)} tried")

    # The first pass

    def _first_pass(self, items: Sequence[pytest.Item]) -> Judges:
        halves = [items[0::2], items[1::2]]
        notes = [self._room / f"pass-{number}.json" for number in range(len(halves))]
        jobs = [partial(self._note, half, note) for half, note in zip(halves, notes, strict=True)]
        judges = Judges()
        list(self._run(jobs, limits=[3_600.0] * len(jobs)))
        for note in notes:
            for test, seen in json.loads(note.read_text()).items() if note.exists() else ():
                if seen["failed"]:
                    judges.left_out.append(f"{test} (red while it is traced)")
                elif seen["seconds"] > self._table.slowest_test_s:
                    judges.left_out.append(f"{test} ({seen['seconds']:.0f} s)")
                else:
                    judges.seconds[test] = seen["seconds"]
                    for file, line in seen["lines"]:
                        judges.reached[file, line].append(test)
        return judges

    def _note(self, items: Sequence[pytest.Item], note: Path) -> int:
        files = frozenset(str(self._table.root / mutant.path) for mutant in self._mutants)
        seen = {}
        for item, following in zip(items, [*items[1:], None], strict=True):
            self._failed = False
            started = time.perf_counter()
            with Reach(files) as reach:
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            took_s = time.perf_counter() - started
            seen[item.nodeid] = {"failed": self._failed, "seconds": took_s, "lines": sorted(reach.lines)}
        note.write_text(json.dumps(seen))
        return SURVIVED

    # One trial

    def _order(self, mutant: Mutant, judges: Judges) -> list[str]:
        """Tests that reach the changed lines: what killed it last, then what killed neighbours, then the quickest."""
        file = str(self._table.root / mutant.path)
        first, last = mutant.lines
        able = {test for line in range(first, last + 1) for test in judges.reached.get((file, line), ())}
        last_one = self._killers.of(mutant.name)
        return sorted(
            able,
            key=lambda test: (
                test != last_one,
                judges.seconds[test] > 1,
                -self._kills[test],
                judges.seconds[test],
            ),
        )

    def _limit(self, mutant: Mutant, judges: Judges) -> float:
        return 10 + 4 * sum(judges.seconds[test] for test in self._order(mutant, judges))

    def _trial(self, mutant: Mutant, items: dict[str, pytest.Item], judges: Judges) -> int:
        tests = self._order(mutant, judges)
        if not tests:
            return SURVIVED
        if not swap(self._table.root, mutant, source=self._sources[mutant.path], functions=self._functions):
            return BROKEN
        chosen = [items[test] for test in tests]
        for item, following in zip(chosen, [*chosen[1:], None], strict=True):
            signal.setitimer(signal.ITIMER_REAL, 10 + 10 * judges.seconds[item.nodeid])  # its signal ends the fork
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self._failed:
                Path(os.environ["PYTEST_DEBUG_TEMPROOT"], "killer").write_text(item.nodeid)
                return KILLED
        return SURVIVED

    # Forks

    def _run(
        self,
        jobs: Sequence[Callable[[], int]],
        *,
        limits: Sequence[float],
        ended: Callable[[int, int, str | None], None] = lambda _number, _result, _killer: None,
    ) -> Iterator[int]:
        """The outcome of each job, in order; two run at a time, each in a fork and a folder of its own."""
        results: dict[int, int] = {}
        running: dict[int, tuple[int, float, Path]] = {}
        waiting = list(enumerate(jobs))
        while waiting or running:
            while waiting and len(running) < 2:
                number, job = waiting.pop(0)
                room = Path(tempfile.mkdtemp(dir=self._room))
                running[_fork(job, room)] = (number, time.monotonic() + limits[number], room)
            for pid, (number, deadline, room) in list(running.items()):
                done, status = os.waitpid(pid, os.WNOHANG)
                if done or time.monotonic() > deadline:
                    self._end(pid, reaped=bool(done))
                    results[number] = os.waitstatus_to_exitcode(status) if done else SLOW
                    if results[number] == -signal.SIGALRM:
                        results[number] = SLOW
                    elif results[number] not in (SURVIVED, KILLED, SLOW, BROKEN):
                        results[number] = KILLED
                    killer = room / "killer"
                    ended(number, results[number], killer.read_text() if killer.exists() else None)
                    shutil.rmtree(room, ignore_errors=True)
                    del running[pid]
            time.sleep(0.002)
        return (results[number] for number in range(len(jobs)))

    def _end(self, pid: int, *, reaped: bool) -> None:
        """End what a fork has started, and the fork itself if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        if not reaped:
            os.waitpid(pid, 0)


def _fork(job: Callable[[], int], room: Path) -> int:
    pid = os.fork()
    if pid:
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        return pid
    result = KILLED
    try:
        os.setpgid(0, 0)
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(room)
        result = job()
    finally:
        os._exit(result)  # leaves without the parent's clean-up


def modules(table: Table, only: Sequence[str]) -> Iterator[str]:
    """Paths of the modules to weaken, relative to the root."""
    for package in table.packages:
        for path in sorted((table.root / package).rglob("*.py")):
            name = path.relative_to(table.root).as_posix()
            if not only or name in only:
                yield name


def main() -> int:
    """0 if every mutant was killed or is excused."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("files", nargs="*", help="only these modules")
    arguments.add_argument("--list", action="store_true", help="name the mutants and stop")
    arguments.add_argument("--table", type=Path, default=Path(__file__).resolve().parent.parent / "tests/mutants.toml")
    arguments.add_argument("--owed", action="store_true", help="only those that are owed a test")
    arguments.add_argument("--remember", action="store_true", help="note which test kills which, to try it first")
    asked = arguments.parse_args()
    table = read_table(asked.table)
    os.chdir(table.root)
    sources = {path: Path(path).read_text() for path in modules(table, asked.files)}
    if asked.list:
        print(*(each.name for path, source in sources.items() for each in mutants_of(path, source)), sep="\n")
        return 0
    out = os.fdopen(os.dup(1), "w", buffering=1)
    killers = Killers(table.root / "tests/mutant_killers.json")
    log = table.root / ".cache/mutants.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("w") as quiet:
        os.dup2(quiet.fileno(), 1)
        os.dup2(quiet.fileno(), 2)
        trials = Trials(table, sources, lambda line: print(line, file=out), of_owed=asked.owed, killers=killers)
        options = [
            "-s",
            "-p",
            "no:randomly",
            "-p",
            "no:xdist",
            "--hypothesis-profile=mutants",
        ]
        try:
            pytest.main([*options, *(test for test in table.tests if Path(test).exists())], plugins=[trials])
        finally:
            if asked.remember:
                every = {path: Path(path).read_text() for path in modules(table, ())}
                killers.keep(each.name for path, source in every.items() for each in mutants_of(path, source))
    return trials.outcome


if __name__ == "__main__":
    sys.exit(main())
