"""Several workers of one server: counted together, ended together; none of them half."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhirmedia.cli import serving
from fhirmedia.cli.serving import serve
from fhirmedia.core.settings import Settings
from fhirmedia.web.metrics import share_metrics
from tests.app.test_metrics import scraped
from tests.servers import Served, make_demo_folder, start_process


def test_their_counts_are_one(tmp_path: Path) -> None:
    make_demo_folder(tmp_path / "data")
    process, base = start_process(tmp_path / "data", ("--workers", "2"))
    root = base.removesuffix("/fhir")
    counted = ("fhirmedia_requests_total", (("method", "GET"), ("route", "/healthz"), ("status", "200")))
    try:
        for _ in range(40):
            assert httpx.get(root + "/healthz").status_code == 200
        with httpx.Client() as http:
            samples = scraped(Served(base, tmp_path / "data", http))
        workers = _children(process.pid)
        assert len(workers) == 2
        assert samples[counted] == 40
        logs = {dict(labels)["log"] for name, labels in samples if name == "fhirmedia_audit_head"}
        assert logs == {"disclosures-0", "disclosures-1"}
        files = {path.stem.rpartition("_")[2] for path in (tmp_path / "data" / "run" / "metrics").glob("counter_*.db")}
        assert files == {str(pid) for pid in workers}
    finally:
        process.terminate()
        assert process.wait(20) == 0


def test_when_one_dies_all_end(tmp_path: Path) -> None:
    make_demo_folder(tmp_path / "data")
    process, base = start_process(tmp_path / "data", ("--workers", "2"))
    victim, other = _children(process.pid)
    os.kill(victim, signal.SIGKILL)
    assert process.wait(20) != 0
    assert not Path(f"/proc/{other}").exists()
    with pytest.raises(httpx.ConnectError):
        httpx.get(base.removesuffix("/fhir") + "/healthz")


def test_a_worker_that_cannot_start_ends_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_demo_folder(tmp_path / "data")
    announced: list[str] = []

    def never(*_: Any) -> int:
        return 1

    monkeypatch.setattr(serving, "_run_worker", never)
    monkeypatch.setattr(serving, "share_metrics", lambda _folder: None)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    started = time.monotonic()
    try:
        settings = Settings(environment="test")
        code = serve(folder, settings, host="127.0.0.1", port=0, workers=2, announce=announced.append)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert code != 0
    assert announced == []
    assert time.monotonic() - started < 10


def test_what_dead_processes_counted_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    monkeypatch.setattr("prometheus_client.values.ValueClass", object)
    mine, dead = tmp_path / f"counter_{os.getpid()}.db", tmp_path / "counter_4194999.db"
    for file in (mine, dead):
        file.touch()
    share_metrics(tmp_path)
    assert list(tmp_path.glob("*.db")) == [mine]


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]
