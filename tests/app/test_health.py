"""The operator's probes: alive, ready, and when not."""

from pathlib import Path

import anyio
import pytest
from starlette.requests import Request

from fhirmedia.web import health as health_module
from fhirmedia.web.health import Health
from tests.servers import Served, serving


def _asked() -> Request:
    return Request({"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""})


def test_probes_need_no_token_and_say_little(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served:
        root = served.base.removesuffix("/fhir")
        alive = served.http.get(root + "/healthz")
        assert (alive.status_code, alive.json()) == (200, {"status": "pass"})
        ready = served.http.get(root + "/readyz")
        assert ready.status_code == 200
        assert ready.json().keys() == {"status", "started", "disk_free_bytes"}
        assert ready.json()["disk_free_bytes"] > 0
        for path in ("/healthz", "/readyz", "/metrics"):
            assert served.http.head(root + path).content == b""
            assert served.http.post(root + path).status_code == 405
            assert str(tmp_path) not in served.http.get(root + path).text
        _only_probes_are_public(served, root)


def _only_probes_are_public(served: Served, root: str) -> None:
    for path in ("/", "/redoc", "/fhir/Media", "/healthz/x"):
        assert served.http.get(root + path).status_code in (401, 404), path


def test_not_ready_before_it_has_started(tmp_path: Path) -> None:
    health = Health(tmp_path)
    assert anyio.run(health.alive, _asked()).status_code == 200
    assert anyio.run(health.ready, _asked()).status_code == 503
    health.started()
    assert anyio.run(health.ready, _asked()).status_code == 200


def test_not_ready_on_a_disk_that_is_nearly_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    health = Health(tmp_path)
    health.started()
    monkeypatch.setattr(health_module, "LEAST_FREE_BYTES", 2**62)
    assert anyio.run(health.ready, _asked()).status_code == 503
    assert anyio.run(health.alive, _asked()).status_code == 200
