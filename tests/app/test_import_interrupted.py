"""An import that is killed or interrupted is gone on with by the same command: all is there, once, as version 1."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fhirmedia.backends.sqlite import open_reader
from tests.servers import make_demo_folder

PATIENTS, ITEMS = 40, 1_500


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_demo_folder(tmp_path / "data").path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rows: list[dict[str, Any]] = [{"resourceType": "Patient", "id": f"p{number}"} for number in range(PATIENTS)]
    rows += [
        {
            "resourceType": "Media",
            "id": f"m{number}",
            "status": "completed",
            "subject": {"reference": f"Patient/p{number % PATIENTS}"},
            "content": {"title": f"photograph {number}"},
        }
        for number in range(ITEMS)
    ]
    path = tmp_path / "all.ndjson"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def importing(folder: Path, source: Path, outcomes: Path) -> "subprocess.Popen[str]":
    words = ["import", "--data", str(folder), str(source), "--outcomes", str(outcomes)]
    command = [sys.executable, "-m", "fhirmedia.cli.main", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until_some_are_in(process: "subprocess.Popen[str]", outcomes: Path, *, number: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if outcomes.exists() and outcomes.read_text().count("\n") >= number:
            return
        time.sleep(0.005)
    process.kill()
    pytest.fail(f"the import did not get so far: {process.communicate()}")


def versions(folder: Path) -> dict[str, list[int]]:
    reader = open_reader(folder / "records.db")
    found: dict[str, list[int]] = {}
    for kind, identity, version in reader.execute("SELECT type, id, version FROM record_version"):
        found.setdefault(f"{kind}/{identity}", []).append(version)
    reader.close()
    return found


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_it_is_gone_on_with_by_the_same_command(
    tmp_path: Path, folder: Path, source: Path, how: signal.Signals
) -> None:
    first = tmp_path / "first.ndjson"
    process = importing(folder, source, first)
    until_some_are_in(process, first, number=ITEMS // 6)
    process.send_signal(how)
    out, said = process.communicate(timeout=60)
    assert process.returncode == (-how if how is signal.SIGKILL else 130)
    there = len(versions(folder))
    assert ITEMS // 6 <= there < PATIENTS + ITEMS
    if how is signal.SIGINT:
        assert f"{there} stored, 0 unchanged, 0 refused" in out
        assert "the same command goes on from here" in said

    second = tmp_path / "second.ndjson"
    process = importing(folder, source, second)
    out, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert out.strip() == f"{PATIENTS + ITEMS - there} stored, {there} unchanged, 0 refused"
    assert len(second.read_text().splitlines()) == PATIENTS + ITEMS
    all_there = versions(folder)
    assert len(all_there) == PATIENTS + ITEMS
    assert {tuple(each) for each in all_there.values()} == {(1,)}
