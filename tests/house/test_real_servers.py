"""What `scripts/services` refuses, and where it puts servers; the servers themselves are started by their suites."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.real_servers import elastic, maven, places, processes, shared

OTHER = maven.Artifact("g:a:1:zip", "a-1.zip", "0" * 64)


def a_maven(folder: Path, script: str) -> str:
    """A PATH on which `mvn` is this script."""
    folder.mkdir()
    program = folder / "mvn"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def test_a_file_that_is_not_the_recorded_one_is_refused_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", a_maven(tmp_path / "bin", "echo changed > a-1.zip"))
    with pytest.raises(places.UnavailableError, match="checksum"):
        maven.fetched(OTHER, downloads=tmp_path / "downloads")
    assert [path.name for path in (tmp_path / "downloads").iterdir()] == ["lock"]


def test_a_kept_file_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    kept = tmp_path / "downloads" / OTHER.file
    kept.parent.mkdir()
    kept.write_bytes(b"kept")
    assert maven.fetched(OTHER, downloads=kept.parent) == kept


def test_a_missing_tool_is_one_sentence_naming_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(places.UnavailableError, match="apt-get install maven"):
        maven.fetched(OTHER, downloads=tmp_path / "downloads")
    assert "apt-get install openjdk-17-jre-headless" in elastic.JAVA_MISSING


def test_a_registry_out_of_reach_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", a_maven(tmp_path / "bin", "exit 1"))
    with pytest.raises(places.UnavailableError, match="in reach"):
        maven.fetched(OTHER, downloads=tmp_path / "downloads")


def test_what_only_its_owner_may_enter_is_told_apart(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    assert not places.enterable(closed)
    assert not places.enterable(closed / "not" / "there")
    assert places.enterable(Path("/usr/lib"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as somebody else")
def test_a_clone_where_only_root_may_go_has_its_servers_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "ELSEWHERE", tmp_path)
    (tmp_path / "closed").mkdir(mode=0o700)
    folder = places.grounds(tmp_path / "closed" / ".services")
    assert folder.parent == tmp_path
    assert places.grounds(tmp_path / "closed" / ".services") == folder
    os.chown(folder, 12345, 12345)
    with pytest.raises(places.UnavailableError, match="not ours"):
        places.grounds(tmp_path / "closed" / ".services")


def test_a_pid_that_was_given_away_again_is_left_alone() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as sleeper:
        there = processes.Running.of(sleeper.pid)
        assert there is not None and there.alive()
        earlier = processes.Running(there.pid, there.born - 1)
        earlier.kill()
        assert there.alive()
        sleeper.kill()
    assert not there.alive()
    assert processes.Running.of(sleeper.pid) is None


class Sleeper:
    """A server that only sleeps."""

    variable = "FHIRMEDIA_INDEX"

    def start(self) -> tuple[str, tuple[processes.Running, ...]]:
        """A process of its own."""
        started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        processes.forget(started)
        running = processes.Running.of(started.pid)
        assert running is not None
        return f"sleep://{started.pid}", (running,)


def test_a_server_ends_with_its_last_user_unless_it_was_asked_to_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "RUN", tmp_path)
    monkeypatch.setitem(shared.KINDS, "elasticsearch", Sleeper())
    name = "elasticsearch"
    with shared.used(name):
        first = shared.up(name, kept=False)
        assert shared.up(name, kept=False) == first
        assert not shared.down(name, kept_too=False)
    assert shared.down(name, kept_too=False)
    assert shared.running(name) is None
    shared.up(name, kept=True)
    assert not shared.down(name, kept_too=False)
    assert shared.down(name)
    assert not shared.down(name)
