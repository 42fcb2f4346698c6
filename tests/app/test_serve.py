"""`fhirmedia serve`: what it refuses to start with, in a sentence each; how it starts, and how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from fhirmedia.backends.folder import make_folder
from tests.access.records import a
from tests.app.commands import command
from tests.servers import Served, make_demo_folder, serving, start_process

HTTPS = "https://archive.example.org"


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """A folder that is no demo."""
    make_folder(tmp_path / "real", timezone="Europe/Stockholm")
    return tmp_path / "real"


class TestRefusals:
    """Loud at start, with how to change it."""

    @pytest.mark.parametrize(
        ("environment", "said"),
        [
            ({"FHIRMEDIA_PUBLIC_URL": HTTPS}, "FHIRMEDIA_TRUSTED_ISSUERS"),
            ({}, "FHIRMEDIA_PUBLIC_URL"),
            ({"FHIRMEDIA_PUBLIC_URL": "http://archive.example.org"}, "FHIRMEDIA_PUBLIC_URL"),
            ({"FHIRMEDIA_PUBLIC_URL": "http://127.0.0.1:8080"}, "FHIRMEDIA_PUBLIC_URL"),
            ({"FHIRMEDIA_PUBLIC_URL": HTTPS, "FHIRMEDIA_TRUSTED_ISSUERS": "/nowhere.json"}, "trusted issuers"),
            ({"FHIRMEDIA_X": "1"}, "FHIRMEDIA_X"),
            ({"FHIRMEDIA_TIMEZONE": "Europe/Oslo", "FHIRMEDIA_PUBLIC_URL": HTTPS}, "FHIRMEDIA_TIMEZONE"),
        ],
    )
    def test_settings(self, real: Path, environment: dict[str, str], said: str) -> None:
        answer = command("serve", "--data", real, "--port", "0", "--workers", "2", **environment)
        assert (answer.code, answer.out) == (1, "")
        assert answer.sentence.startswith("fhirmedia serve: ")
        assert said in answer.sentence
        assert "Traceback" not in answer.err

    def test_an_unfinished_list_of_issuers(self, real: Path, tmp_path: Path) -> None:
        for text in ("", "{}", "[]", "[{}]", '[{"issuer": "https://i.example.org"}]', "nonsense"):
            (tmp_path / "issuers.json").write_text(text)
            answer = command(
                "serve", "--data", real, "--port", "0", "--workers", "2",
                FHIRMEDIA_PUBLIC_URL=HTTPS, FHIRMEDIA_TRUSTED_ISSUERS=str(tmp_path / "issuers.json"),
            )  # fmt: skip
            assert answer.code == 1
            assert "trusted issuers" in answer.sentence.lower()

    def test_a_demo_off_loopback(self, tmp_path: Path) -> None:
        make_demo_folder(tmp_path / "demo")
        for host in ("0.0.0.0", "192.0.2.1", "::"):
            answer = command("serve", "--data", tmp_path / "demo", "--port", "0", "--host", host)
            assert answer.code == 1
            assert "loopback" in answer.sentence

    def test_a_port_that_is_taken(self, tmp_path: Path) -> None:
        make_demo_folder(tmp_path / "demo")
        with closing(socket.socket()) as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            answer = command("serve", "--data", tmp_path / "demo", "--port", port)
        assert answer.code == 1
        assert "--port" in answer.sentence

    def test_words_that_are_no_options(self, tmp_path: Path) -> None:
        for words in (["--port", "x"], ["--port", "70000"], ["--workers", "0"], ["--nonsense"]):
            assert command("serve", "--data", tmp_path / "none", *words).code == 2
        assert not (tmp_path / "none").exists()

    def test_without_an_issuer_the_process_ends(self, real: Path) -> None:
        """One worker opens the folder before it asks who is trusted; it must not hang on it."""
        words = [sys.executable, "-m", "fhirmedia.cli.main", "serve", "--data", str(real), "--port", "0"]
        environment = {**os.environ, "FHIRMEDIA_PUBLIC_URL": HTTPS}
        ended = subprocess.run(words, env=environment, capture_output=True, timeout=30, check=False)
        assert (ended.returncode, ended.stdout) == (1, b"")
        assert b"FHIRMEDIA_TRUSTED_ISSUERS" in ended.stderr.splitlines()[-1]


def test_an_empty_folder_is_made_ready(tmp_path: Path) -> None:
    answer = command("serve", "--data", tmp_path / "new", "--port", "0", "--workers", "2", FHIRMEDIA_PUBLIC_URL=HTTPS)
    assert answer.code == 1
    made = {path.name for path in (tmp_path / "new").iterdir()}
    assert {"VERSION", "records.db"} <= made
    assert "DEMO" not in made
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


class TestEnd:
    """SIGTERM and SIGINT let what is under way finish."""

    @pytest.mark.parametrize("words", [(), ("--workers", "2")])
    def test_a_slow_download_is_finished(self, tmp_path: Path, words: tuple[str, ...]) -> None:
        make_demo_folder(tmp_path / "data")
        process, base = start_process(tmp_path / "data", words)
        content = os.urandom(24 * 2**20)
        with httpx.Client(timeout=30) as http:
            served = Served(base, tmp_path / "data", http)
            headers = served.headers()
            sent = headers | {"Content-Type": "application/octet-stream"}
            made = http.post(f"{base}/Binary", content=content, headers=sent).json()
            with http.stream("GET", f"{base}/Binary/{made['id']}", headers=headers) as answer:
                parts = answer.iter_raw(2**20)
                received = next(parts)
                process.send_signal(signal.SIGTERM)
                time.sleep(0.5)
                assert process.poll() is None
                received += b"".join(parts)
        assert received == content
        assert process.wait(20) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(base.removesuffix("/fhir") + "/healthz")

    def test_it_ends_with_everything_written_and_starts_again(self, tmp_path: Path) -> None:
        """The last answer is in the log and in the folder."""
        make_demo_folder(tmp_path / "data")
        words = [sys.executable, "-m", "fhirmedia.cli.main", "serve", "--data", str(tmp_path / "data"), "--port", "0"]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stderr is not None
        with process.stdout, process.stderr, httpx.Client(timeout=30) as http:
            base = next(line.split()[1].decode() for line in process.stderr if line.startswith(b"ready: "))
            reader = threading.Thread(target=process.stderr.read, daemon=True)
            reader.start()
            served = Served(base, tmp_path / "data", http)
            answer = served.put(a("Patient", "kept"), served.importer() | {"X-Request-Id": "the-last"})
            process.send_signal(signal.SIGINT)
            lines = [json.loads(line) for line in process.stdout]
            assert process.wait(20) == 0
            reader.join()
        assert answer.status_code == 201
        assert [line["request"] for line in lines] == ["the-last"]
        with serving(tmp_path / "data") as again:
            assert again.http.get(f"{again.base}/Patient/kept", headers=again.headers()).json() == answer.json()
