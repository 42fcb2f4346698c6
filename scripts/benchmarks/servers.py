"""Processes under measurement: started, waited for, weighed, ended by their id."""

import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fhirmedia.core.clock import system_clock
from fhirmedia.issuer.minting import mint
from scripts.benchmarks.prepare import BASE

PORT = 8471
LOG = Path("bench-data/server.log")
PEER_LOG = Path("bench-data/peer.log")
"""Of a second server of ours, on the same folder at the same time."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server process."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def cpu_s(self) -> float:
        """CPU seconds used so far, user and system."""
        return used_s(self.process.pid)

    @property
    def rss_mib(self) -> float:
        """Resident memory."""
        return resident_mib(self.process.pid, "VmRSS")


def used_s(pid: int) -> float:
    """CPU seconds a process has used, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int, name: str) -> float:
    """Resident memory of a process, now (`VmRSS`) or at its highest (`VmHWM`); 0 if there is no such process."""
    try:
        found = re.search(rf"{name}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


@contextmanager
def running(
    command: Sequence[str],
    *,
    port: int,
    path: str,
    log_file: Path = LOG,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """The command as a process, with more environment, once `path` answers.

    Raises RuntimeError if the port is taken.
    """
    _require_free(port)
    log_file.parent.mkdir(exist_ok=True)
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *command],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )
    try:
        wait_for(port, path, process=process)
        yield Running(process, port)
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def fhirmedia(
    folder: Path,
    *,
    workers: int = 1,
    port: int = PORT,
    log_file: Path = LOG,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """Our server on a folder."""
    words = ["--data", str(folder), "--port", str(port), "--workers", str(workers)]
    command = ["-m", "fhirmedia.cli.main", "serve", *words]
    with running(command, port=port, path="/readyz", log_file=log_file, environment=environment) as server:
        yield server


@contextmanager
def yardstick(module: str, folder: Path, *words: str, path: str) -> Iterator[Running]:
    """One of the bare servers."""
    port = PORT + 1
    command = ["-m", f"scripts.benchmarks.{module}", str(folder), str(port), *words]
    with running(command, port=port, path=path) as server:
        yield server


def wait_for(port: int, path: str, *, seconds: float = 60, process: "subprocess.Popen[bytes] | None" = None) -> float:
    """Seconds until the path answers with anything but a refusal to connect or 503.

    Raises RuntimeError if nothing does in time, or the process that should has ended.
    """
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"the server ended at once; {LOG} says why")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            if connection.getresponse().status < 500:
                return time.monotonic() - started
        except OSError:
            time.sleep(0.005)
        finally:
            connection.close()
    raise RuntimeError(f"nothing answers on port {port}")


def _require_free(port: int) -> None:
    """So that no other server is measured."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise RuntimeError(f"something else listens on port {port}")


def authorization(folder: Path, *, units: Sequence[str] = ()) -> str:
    """A header value for staff of these units, or of every unit."""
    token = mint(folder, scope="user/*.cruds", audience=BASE, now_s=system_clock() // 1000, units=units)
    return f"Bearer {token}"
