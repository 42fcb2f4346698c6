"""A worker killed at any moment: what it acknowledged is in the log, and the log has no gap."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from fhirmedia.backends.audit_files import segments, slot_logs
from tests.audit.logs import breaches, verified


def test_kills_lose_no_acknowledged_row(
    tmp_path: Path, full_counts: bool, record_property: Callable[[str, object], None]
) -> None:
    kills = 1_000 if full_counts else 100
    chance = random.Random(7)
    ledger: set[bytes] = set()
    in_flight = 0
    command = [sys.executable, "-m", "tests.audit.appender", str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdin
        assert parent.stdout
        for _ in range(kills):
            parent.stdin.write(b"go\n")
            parent.stdin.flush()
            victim = int(parent.stdout.readline().removeprefix(b"pid "))
            wanted = chance.randrange(0, 60)
            acknowledged = 0
            while acknowledged < wanted:
                ledger.add(acknowledgement(parent.stdout.readline()))
                acknowledged += 1
            os.kill(victim, signal.SIGKILL)
            while (line := parent.stdout.readline()) != b"dead\n":
                ledger.add(acknowledgement(line))
                in_flight += 1
        parent.stdin.close()
    (log,) = slot_logs(tmp_path)
    stored = [row.disclosure for row in log.rows()]
    assert len(ledger) > kills
    assert ledger <= set(stored)
    assert len(stored) == len(set(stored))
    assert breaches(tmp_path) == []
    record_property("kills", kills)
    record_property("acknowledged rows", len(ledger))
    record_property("acknowledged between signal and death", in_flight)
    record_property("files", len(segments(tmp_path, "disclosures-0")))
    record_property("checkpoints", verified(tmp_path).checkpoints)


def acknowledgement(line: bytes) -> bytes:
    assert line.startswith(b"ack "), line
    return line.removeprefix(b"ack ").rstrip(b"\n")
