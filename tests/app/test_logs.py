"""One log line per request, of allowed members only; nothing a client sent is ever in it, nor in what refusals say."""

import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.access.records import a, identifier, places, put
from tests.servers import Served, serving

CANARY = "Kanariefugl"
MEMBERS = {
    "time", "level", "request", "method", "route", "status", "ms", "bytes", "resource_type", "issue", "check", "client",
}  # fmt: skip
ALWAYS = {"time", "level", "request", "method", "route", "status", "ms", "bytes"}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path / "data") as server:
        put(server, *places())
        yield server


def lines(capfd: pytest.CaptureFixture[str], *, of: str) -> list[dict[str, Any]]:
    """The lines of requests whose id begins so, once they are written."""
    time.sleep(0.15)
    written = capfd.readouterr()
    assert CANARY.lower() not in (written.out + written.err).lower()
    assert "eyJ" not in written.out + written.err
    parsed = [json.loads(line) for line in written.out.splitlines()]
    return [line for line in parsed if line["request"].startswith(of)]


def test_one_line_for_each_request(served: Served, capfd: pytest.CaptureFixture[str]) -> None:
    staff = served.headers()
    asked = [
        ("GET", "Patient/anna", 200),
        ("GET", "Patient/nobody", 404),
        ("GET", "Media?x=1", 400),
        ("PUT", "", 405),
    ]
    for number, (method, path, _) in enumerate(asked):
        served.http.request(method, f"{served.base}/{path}", headers=staff | {"X-Request-Id": f"one-{number}"})
    found = lines(capfd, of="one-")
    assert [(line["request"], line["method"], line["status"]) for line in found] == [
        (f"one-{number}", method, status) for number, (method, _, status) in enumerate(asked)
    ]
    for line in found:
        assert ALWAYS <= line.keys() <= MEMBERS
        assert line["ms"] > 0
        assert line["bytes"] > 0
        assert line["time"].endswith("Z")
    assert found[0]["route"] == "/fhir/{type}/{id}"
    assert (found[0]["resource_type"], found[0]["client"]) == ("Patient", "fhirmedia-demo")
    assert found[1]["issue"] == "not-found"


def test_nothing_a_client_sent_is_written_or_said_back(served: Served, capfd: pytest.CaptureFixture[str]) -> None:
    capfd.readouterr()
    staff = served.headers(user=f"Practitioner/{CANARY}", units=["derm"])
    importer = served.importer()
    named = {"X-Request-Id": "none-of-it", "User-Agent": CANARY, "Referer": f"http://{CANARY}/", "Cookie": CANARY}
    person = a("Patient", CANARY, name=[{"family": CANARY}], identifier=identifier(CANARY))
    noted = a(
        "Media", CANARY, of=CANARY, note=[{"text": CANARY}], content={"title": CANARY, "data": "S2FuYXJpZWZ1Z2w="}
    )
    base, ask = served.base, served.http.request
    answers = [
        ask("PUT", f"{base}/Patient/{CANARY}", json=person, headers=importer | named),
        ask("PUT", f"{base}/Media/{CANARY}", json=noted, headers=importer | named),
        ask("GET", f"{base}/Patient/{CANARY}", headers=staff | named),
        ask("GET", f"{base}/Media?patient={CANARY}&identifier={CANARY}", headers=staff | named),
        ask("GET", f"{base}/{CANARY}/{CANARY}?{CANARY}={CANARY}", headers=staff | named),
        ask("GET", f"{base}/{CANARY}", headers=staff | named),
        ask("GET", f"{base}/Media?when={CANARY}", headers=staff | named),
        ask("GET", f"{base}/Media?_cursor={CANARY}", headers=staff | named),
        ask("POST", f"{base}/Media", json=noted | {"status": CANARY}, headers=staff | named),
        ask("POST", f"{base}/Media", content=CANARY, headers=staff | named),
        ask("POST", f"{base}/Media/_search", data={"identifier": CANARY}, headers=_form(staff | named)),
        ask("POST", f"{base}/Binary", content=CANARY, headers=staff | named | {"Content-Type": "image/png"}),
        ask("PUT", f"{base}/Media/{CANARY}", json=noted, headers=staff | named | {"If-Match": CANARY}),
        ask("GET", f"{base}/Media", headers=named | {"Authorization": f"Bearer {CANARY}"}),
        ask("GET", f"{base}/Media?access_token={CANARY}", headers=named),
        ask("PROPFIND", f"{base}/{CANARY}", headers=staff | named),
        ask("GET", f"{base}/Media", headers=staff | named | {"Accept": f"text/{CANARY}"}),
        ask("GET", f"{base}/Media", headers=staff | named | {"X-Long": CANARY * 10_000}),
        ask("GET", f"{base}/Media?{CANARY * 2000}", headers=staff | named),
    ]
    assert {answer.status_code for answer in answers} >= {200, 201, 400, 401, 404, 405, 406, 414, 431}
    for answer in answers:
        if answer.status_code >= 400:
            assert CANARY.lower() not in answer.text.lower(), answer.text
    found = lines(capfd, of="none-of-it")
    assert len(found) == len(answers)
    for line in found:
        assert line.keys() <= MEMBERS


def _form(headers: dict[str, str]) -> dict[str, str]:
    return headers | {"Content-Type": "application/x-www-form-urlencoded"}


def test_a_crash_says_where_and_not_what(
    served: Served, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError(CANARY)

    monkeypatch.setattr("fhirmedia.interactions.resource_in.check", broken)
    headers = served.headers() | {"X-Request-Id": "crash"}
    with caplog.at_level(logging.ERROR):
        answer = served.http.post(f"{served.base}/Media", json=a("Media", CANARY), headers=headers)
    assert answer.status_code == 500
    assert answer.json()["issue"][0]["code"] == "exception"
    assert CANARY not in answer.text
    assert "ValueError" not in answer.text
    assert CANARY not in caplog.text
    assert "unexpected ValueError at " in caplog.text
    (line,) = lines(capfd, of="crash")
    assert (line["status"], line["level"]) == (500, "error")
    assert served.http.get(f"{served.base}/Patient/anna", headers=served.headers()).status_code == 200


def test_a_refused_token_leaves_the_name_of_the_check(served: Served, capfd: pytest.CaptureFixture[str]) -> None:
    late = served.token(now_s=served.clock() // 1000 - 100_000, expires_s=60)
    for number, token in enumerate((late, "a.b.c", served.token(audience="https://other.example.org/fhir"))):
        headers = {"Authorization": f"Bearer {token}", "X-Request-Id": f"refused-{number}"}
        assert served.http.get(f"{served.base}/Media", headers=headers).status_code == 401
    checks = [line["check"] for line in lines(capfd, of="refused-")]
    assert len(set(checks)) == 3
    assert all(check.replace("-", "").isalpha() for check in checks)
