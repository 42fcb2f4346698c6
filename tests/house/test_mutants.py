"""Mutants are made of every kind of guard, and the run tells a tested guard from an untested one."""

import ast
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from scripts.mutant_killers import Killers
from scripts.mutations import mutants_of

ROOT = Path(__file__).resolve().parents[2]

KINDS = [
    ("if not allowed: raise Failure()", {"if not allowed: raise Failure() -> never"}),
    ("if not allowed: return None", {"if not allowed: return None -> never"}),
    ("for a in b:\n    if hidden(a): continue\n    use(a)", {"if hidden(a): continue -> never"}),
    (
        "if a or b: raise Failure()",
        {"a or b -> without a", "a or b -> without b", "if a or b: raise Failure() -> never"},
    ),
    ("x = a and b", {"a and b -> without a", "a and b -> without b"}),
    ("x = view or store", set()),
    ("x = [a for a in b if seen(a)]", {"… if seen(a) -> no filter"}),
    ("x = a if known else None", {"a if known else None -> a"}),
    ("x = None if hidden else a", {"None if hidden else a -> a"}),
    ("x = a if big else b", set()),
    ("grant.require(action)", {"grant.require(action) -> left out"}),
    ("await store.append(row)", set()),
    ("await self.store.append(row)", {"await self.store.append(row) -> left out"}),
    ("rows.append(row)", set()),
    ("print(row)", set()),
    ("try: f()\nexcept E: raise Failure()", {"raise Failure() -> left out"}),
    ("x = All((a, b))", {"All((a, b)) -> without a", "All((a, b)) -> without b"}),
    ("x = Any((a, b))", set()),
    ("x = (*a, *b)", {"(*a, *b) -> without *a", "(*a, *b) -> without *b"}),
    ("x = a & b", {"a & b -> a", "a & b -> b"}),
    ("x = lambda a: a in b", {"lambda a: a in b -> True"}),
    ("x = lambda a: a.b", set()),
    ("if TYPE_CHECKING: return None", set()),
]


@pytest.mark.parametrize(("body", "expected"), KINDS)
def test_each_guard_is_weakened(body: str, expected: set[str]) -> None:
    source = "async def f(self):\n" + textwrap.indent(body, "    ") + "\n"
    mutants = mutants_of("m.py", source)
    assert {mutant.name.removeprefix("m.py f: ") for mutant in mutants} == expected
    for mutant in mutants:
        changed = mutant.apply(ast.parse(source))
        compile(changed, "m.py", "exec")
        assert ast.dump(changed) != ast.dump(ast.parse(source))


def test_a_question_is_answered_with_yes() -> None:
    source = "def may(a) -> bool:\n    if a:\n        return True\n    return a.known\n"
    assert [mutant.after for mutant in mutants_of("m.py", source)] == ["return True"]


def test_code_outside_functions_stays_but_its_lambdas_do_not() -> None:
    source = "limit = a and b\ntable = {'x': lambda a: a in b}\n"
    assert [mutant.name for mutant in mutants_of("m.py", source)] == ["m.py lambda: lambda a: a in b -> True"]


DOOR = '''
"""A door."""


class Door:
    def __init__(self):
        self._log = []

    def enter(self, who):
        if who not in {"anna"}:
            raise PermissionError
        self._log.append(who)
        return True

    def leave(self, who):
        if who is None:
            raise ValueError
        return True

    def wait(self, count):
        while count > 0 and self.shut(count):
            count -= 1

    def shut(self, count) -> bool:
        return count != 3


def unseen(a):
    if a:
        raise ValueError
'''

TESTS = '''
"""Tests of a door."""

import threading

import pytest

from house.door import Door


@pytest.fixture
def door():
    return Door()


def test_strangers_stay_out(door):
    with pytest.raises(PermissionError):
        door.enter("bo")


def test_leaving(door):
    assert door.leave("anna")


def test_a_thread_sees_the_mutant_too(door):
    thread = threading.Thread(target=door.enter, args=("anna",))
    thread.start()
    thread.join()
    assert door._log == ["anna"]


def test_waiting_ends(door):
    door.wait(5)
'''

CONFTEST = '''
"""The profile the run asks for."""

from hypothesis import settings

settings.register_profile("mutants")
'''


UNTESTED = [
    "house/door.py Door.leave: if who is None: raise ValueError -> never",
    "house/door.py Door.wait: count > 0 and self.shut(count) -> without count > 0",
    "house/door.py Door.wait: count > 0 and self.shut(count) -> without self.shut(count)",
    "house/door.py Door.shut: return count != 3 -> return True",
    "house/door.py unseen: if a: raise ValueError -> never",
]


def project(folder: Path, *, excused: str = "") -> Path:
    (folder / "house").mkdir()
    (folder / "house/__init__.py").write_text("")
    (folder / "house/door.py").write_text(DOOR)
    (folder / "tests").mkdir()
    (folder / "tests/conftest.py").write_text(CONFTEST)
    (folder / "tests/test_door.py").write_text(TESTS)
    (folder / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    table = f'packages = ["house"]\ntests = ["tests"]\nslowest_test_s = 5.0\n{excused}'
    (folder / "tests/mutants.toml").write_text(table)
    return folder / "tests/mutants.toml"


def run(table: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "scripts/mutants.py", "--table", table, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_survivors_are_named_and_fail_the_run(tmp_path: Path) -> None:
    ran = run(project(tmp_path))
    survived = [
        json.loads(line.split(" = ", 1)[1]) for line in ran.stdout.splitlines() if line.startswith("    mutant")
    ]
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert sorted(survived) == sorted(UNTESTED)
    assert "7 made, 2 killed" in ran.stdout
    assert "no test comes here" in ran.stdout


def test_what_killed_a_mutant_is_remembered_and_tried_first(tmp_path: Path) -> None:
    table = project(tmp_path)
    killers = tmp_path / "tests/mutant_killers.json"
    run(table)
    assert not killers.exists()
    run(table, "--remember")
    known = json.loads(killers.read_text())
    assert sum(map(len, known.values())) == 2
    assert set(known) <= {"tests/test_door.py::" + name for name in re.findall(r"def (test_\w+)", TESTS)}
    before = killers.read_text()
    assert run(table, "--remember").returncode == 1, "survivors are tried as before"
    assert killers.read_text() == before


def test_the_table_of_killers_decides_the_order(tmp_path: Path) -> None:
    killers = Killers(tmp_path / "killers.json")
    assert killers.of("a mutant") is None
    killers.note("a mutant", "tests/test_door.py::test_one")
    killers.note("another", "tests/test_door.py::test_one")
    killers.note("a mutant that is gone", "tests/test_door.py::test_one")
    killers.keep(["a mutant", "another", "one that survived"])
    again = Killers(tmp_path / "killers.json")
    assert [again.of(each) is not None for each in ("a mutant", "another", "a mutant that is gone")] == [
        True,
        True,
        False,
    ]


def test_what_is_owed_a_test_is_counted_and_tried_when_asked(tmp_path: Path) -> None:
    table = project(tmp_path, excused=f"owed = {json.dumps(UNTESTED)}")
    ran = run(table)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "2 made, 2 killed" in ran.stdout
    assert f"{len(UNTESTED)} are owed a test and were not tried" in ran.stdout
    asked = run(table, "--owed")
    assert asked.returncode == 1
    assert f"{len(UNTESTED)} survived" in asked.stdout
    assert "are owed" not in asked.stdout


def test_an_excuse_must_be_needed(tmp_path: Path) -> None:
    excused = "".join(f'\n[[excused]]\nmutant = "{name}"\nwhy = "it makes no difference here"\n' for name in UNTESTED)
    table = project(tmp_path, excused=excused)
    ran = run(table)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    table.write_text(table.read_text() + '\n[[excused]]\nmutant = "house/door.py Door.x: a -> b"\nwhy = "gone"\n')
    ran = run(table)
    assert ran.returncode == 1
    assert "excuse without a survivor: house/door.py Door.x: a -> b" in ran.stdout
