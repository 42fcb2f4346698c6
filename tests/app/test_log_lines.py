"""Everything a server writes on standard output is one JSON object a line, whoever in it speaks."""

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from fhirmedia.cli.log_lines import JsonLines
from tests.servers import Served, make_demo_folder

MIB = 2**20
OCTETS = "application/octet-stream"
CANARY = "Kanariefugl"


def test_an_exception_is_told_without_its_text() -> None:
    try:
        raise ValueError(CANARY)
    except ValueError:
        record = logging.LogRecord("uvicorn.error", logging.ERROR, "x.py", 1, 'it "%s"\n', ("failed",), sys.exc_info())
    line = JsonLines().format(record)
    assert CANARY not in line
    assert "\n" not in line
    said = json.loads(line)
    assert said.keys() == {"time", "level", "message"}
    assert (said["level"], said["time"][-1]) == ("error", "Z")
    assert said["message"].startswith('it "failed": ValueError at ')


def test_damage_in_the_middle_of_an_answer(tmp_path: Path) -> None:
    """Told as an error with its issue and counted; nobody prints a traceback."""
    folder = tmp_path / "data"
    make_demo_folder(folder)
    words = [sys.executable, "-m", "fhirmedia.cli.main", "serve", "--data", str(folder), "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process, ending(process):
        assert process.stderr is not None
        base = next(line.split()[1] for line in process.stderr if line.startswith("ready: "))
        with httpx.Client(timeout=30) as http:
            headers = Served(base, folder, http).headers() | {"Content-Type": OCTETS}
            made = http.post(f"{base}/Binary", content=os.urandom(3 * MIB), headers=headers).headers["Location"]
            headers |= {"Accept": OCTETS}
            spoil(folder, at=2 * MIB)
            with pytest.raises(httpx.RemoteProtocolError):
                http.get(made, headers=headers | {"X-Request-Id": "in-the-middle"})
            in_part = headers | {"Range": f"bytes={2 * MIB}-", "X-Request-Id": "at-the-beginning"}
            assert http.get(made, headers=in_part).status_code == 502
            assert http.get(made, headers=headers | {"Range": f"bytes=0-{MIB}"}).status_code == 206
            counted = http.get(base.removesuffix("/fhir") + "/metrics").text
        process.send_signal(signal.SIGTERM)
        said, aside = process.communicate(timeout=30)
    assert "fhirmedia_content_damaged_total 2.0" in counted
    assert aside == ""
    lines = [json.loads(line) for line in said.splitlines()]
    told = {line["request"]: (line["level"], line["status"], line["issue"]) for line in lines if "issue" in line}
    assert told == {"in-the-middle": ("error", 200, "exception"), "at-the-beginning": ("error", 502, "exception")}
    assert all("request" in line for line in lines)


@contextmanager
def ending(process: subprocess.Popen[str]) -> Iterator[None]:
    """Nobody waits for a process whose test has failed."""
    try:
        yield
    finally:
        process.kill()


def spoil(folder: Path, *, at: int) -> None:
    """Turn a byte of the only content there is."""
    (path,) = folder.glob("objects/*/*/*")
    with path.open("r+b") as file:
        file.seek(at)
        (old,) = file.read(1)
        file.seek(at)
        file.write(bytes([old ^ 1]))
