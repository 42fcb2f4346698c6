"""Keys from a URL: fetched in the background from the pinned address, bounded, and kept when a fetch fails."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fhirmedia.access.caller import Caller
from fhirmedia.core.errors import Category, Failure
from fhirmedia.issuer import jwks
from fhirmedia.issuer.check_results import CheckResult
from fhirmedia.issuer.jwks import KEEP_S, REFRESH_S, RETRY_S, FetchedKeys, fetch
from fhirmedia.issuer.trusted import load_issuers
from tests.access.issuing import AUDIENCE, ISSUER, NOW, Signer, claims, ec_signer, key_set, parse, row, write_list


class Provider:
    """An identity provider's key address, on loopback, answering as told and counting."""

    def __init__(self) -> None:
        self.status = 200
        self.body = key_set(ec_signer())
        self.location: str | None = None
        self.pause_s = 0.0
        self.asked: list[str] = []
        provider = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked.append(self.path)
                self.send_response(provider.status)
                if provider.location:
                    self.send_header("Location", provider.location)
                self.send_header("Content-Length", str(len(provider.body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    for start in range(0, len(provider.body), 16 if provider.pause_s else 2**20):
                        self.wfile.write(provider.body[start : start + (16 if provider.pause_s else 2**20)])
                        time.sleep(provider.pause_s)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.server.daemon_threads = True
        self.uri = f"http://127.0.0.1:{self.server.server_port}/keys?tenant=1"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def provider() -> Iterator[Provider]:
    running = Provider()
    yield running
    running.close()


def settle() -> None:
    """Wait until no fetch is under way."""
    for thread in threading.enumerate():
        if thread.name == "key set":
            thread.join(10)


def kids(keys: FetchedKeys, now_s: int) -> list[str]:
    return [key.kid for key in keys.current(now_s)]


def refused(act: Callable[[], object]) -> None:
    with pytest.raises(Failure) as caught:
        act()
    assert caught.value.category is Category.UNAVAILABLE


def test_fetch_gives_the_body(provider: Provider) -> None:
    assert fetch(provider.uri) == provider.body
    assert fetch(provider.uri.partition("/keys")[0]) == provider.body
    assert provider.asked == ["/keys?tenant=1", "/"]


@pytest.mark.parametrize("status", [201, 204, 301, 302, 307, 401, 404, 500])
def test_other_answers_are_no_keys_and_redirects_are_not_followed(provider: Provider, status: int) -> None:
    provider.status, provider.location = status, "/elsewhere"
    refused(lambda: fetch(provider.uri))
    assert provider.asked == ["/keys?tenant=1"]


def test_a_large_answer_is_cut_off(provider: Provider) -> None:
    provider.body = b" " * (64 * 1024)
    assert len(fetch(provider.uri)) == 64 * 1024
    provider.body = b" " * (64 * 1024 + 1)
    refused(lambda: fetch(provider.uri))
    provider.body = b" " * 10_000_000
    refused(lambda: fetch(provider.uri))


@pytest.mark.parametrize("pause_s", [0.05, 5.0])
def test_a_slow_answer_is_cut_off(provider: Provider, monkeypatch: pytest.MonkeyPatch, pause_s: float) -> None:
    monkeypatch.setattr(jwks, "FETCH_MAX_S", 0.3)
    provider.pause_s, provider.body = pause_s, b" " * 10_000
    began = time.monotonic()
    refused(lambda: fetch(provider.uri))
    assert time.monotonic() - began < 2


def test_silence_and_nobody_at_home_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "FETCH_MAX_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        refused(lambda: fetch(f"http://127.0.0.1:{port}/"))
        refused(lambda: fetch(f"https://127.0.0.1:{port}/"))
    refused(lambda: fetch(f"http://127.0.0.1:{port}/"))


def test_keys_come_in_the_background(provider: Provider) -> None:
    keys = FetchedKeys(provider.uri)
    assert kids(keys, NOW) == []
    settle()
    assert kids(keys, NOW) == ["ec-1"]
    assert len(provider.asked) == 1


def test_keys_are_fetched_again_now_and_then(provider: Provider) -> None:
    keys = FetchedKeys(provider.uri)
    assert keys.refresh(NOW)
    first = keys.current(NOW + REFRESH_S - 1)
    settle()
    assert len(provider.asked) == 1
    assert keys.current(NOW + REFRESH_S) is first
    settle()
    assert len(provider.asked) == 2
    assert keys.current(NOW + REFRESH_S) is first  # equal keys stay the same object
    provider.body = key_set(ec_signer("ES256", "ec-2"))
    keys.current(NOW + 2 * REFRESH_S)
    settle()
    assert kids(keys, NOW + 2 * REFRESH_S) == ["ec-2"]


def test_an_unknown_kid_asks_once_a_minute(provider: Provider) -> None:
    keys = FetchedKeys(provider.uri)
    assert keys.refresh(NOW)
    for now_s, asked in ((NOW, 1), (NOW + RETRY_S - 1, 1), (NOW + RETRY_S, 2), (NOW + RETRY_S + 1, 2)):
        for _ in range(3):
            keys.missed(now_s)
        settle()
        assert len(provider.asked) == asked


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"keys":[{"kty":"oct","kid":"x","k":"AA"}]}', b"[" * 60_000])
def test_a_bad_answer_leaves_the_old_keys_for_a_day(provider: Provider, body: bytes) -> None:
    keys = FetchedKeys(provider.uri)
    assert keys.refresh(NOW)
    provider.body = body
    assert not keys.refresh(NOW + REFRESH_S)
    assert kids(keys, NOW + REFRESH_S) == ["ec-1"]
    assert kids(keys, NOW + KEEP_S - 1) == ["ec-1"]
    assert kids(keys, NOW + KEEP_S) == []
    settle()


def test_a_token_is_good_while_its_key_is(provider: Provider, tmp_path: Path) -> None:
    path = write_list(tmp_path, row(jwks_file=None, jwks_uri=provider.uri))
    issuers = load_issuers(path, audience=AUDIENCE, parse=parse)
    token = ec_signer().token(claims(exp=NOW + 3000))
    issuers.warm(NOW)
    settle()
    assert isinstance(issuers.judge(token, now_s=NOW), Caller)
    newer = Signer(ec_signer("ES256", "ec-2").private, "ec-2")
    provider.body = key_set(newer)
    # A key that is not known yet is asked for, in the background, and at most once a minute.
    assert issuers.judge(newer.token(claims()), now_s=NOW + RETRY_S) == CheckResult("key", False)
    settle()
    assert isinstance(issuers.judge(newer.token(claims()), now_s=NOW + RETRY_S), Caller)
    # The withdrawn key takes the remembered tokens with it.
    assert issuers.judge(token, now_s=NOW + RETRY_S) == CheckResult("key", False)
    settle()
    assert len(provider.asked) == 2


def test_no_word_of_a_stranger_is_followed(provider: Provider, tmp_path: Path) -> None:
    issuers = load_issuers(write_list(tmp_path, row()), audience=AUDIENCE, parse=parse)
    stranger = Signer(ec_signer("ES256", "x").private, "x")
    for made in (claims(iss=provider.uri), claims(iss=ISSUER, jwks_uri=provider.uri)):
        token = stranger.token(made, jku=provider.uri, x5u=provider.uri)
        assert isinstance(issuers.judge(token, now_s=NOW), CheckResult)
    settle()
    assert provider.asked == []


def test_results_wait_for_the_keys(provider: Provider, tmp_path: Path) -> None:
    path = write_list(tmp_path, row(jwks_file=None, jwks_uri=provider.uri))
    issuers = load_issuers(path, audience=AUDIENCE, parse=parse)
    assert all(result.ok for result in issuers.results(ec_signer().token(claims()), now_s=NOW))
    assert json.loads(provider.body)["keys"]
