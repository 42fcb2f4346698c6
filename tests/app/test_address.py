"""The folder knows the address it is served at: commands beside the server use it, and no other is taken unnoticed."""

import subprocess
import sys
from pathlib import Path

import pytest

from fhirmedia.app.addresses import known_base_url, settled_base_url
from fhirmedia.backends.folder import Folder, make_folder, note_base_url, served_base_url
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.settings import Settings
from tests.access.records import a, places
from tests.app.commands import command
from tests.servers import make_demo_folder, served_process

ZONE = "Europe/Stockholm"
ONE, OTHER = Settings(public_url="https://one.example"), Settings(public_url="https://other.example")


def unexpected(known: str) -> None:
    raise AssertionError(known)


def test_a_demo_that_was_served_is_checked_without_its_port(tmp_path: Path) -> None:
    path = tmp_path / "data"
    with served_process(path) as (served, _):
        for each in places():
            assert served.put(each).status_code == 201
        media = a("Media", "m") | {"subject": {"reference": f"{served.base}/Patient/anna"}}
        assert served.put(media).status_code == 201
        assert served_base_url(Folder(path)) == served.base
        first = served.base
        assert command("check", "--data", path).code == 0
    assert command("check", "--data", path).code == 0
    assert command("check", "--data", path, "--repair").code == 0
    with served_process(path) as (served, _):
        assert served.base != first
        assert served_base_url(Folder(path)) == served.base


def test_a_demo_that_moves_says_so(tmp_path: Path) -> None:
    folder = make_demo_folder(tmp_path / "data")
    said: list[str] = []
    for port in (8001, 8001, 8002):
        settled_base_url(Settings(), folder, port=port, moved=said.append)
    assert said == ["http://127.0.0.1:8001/fhir"]
    assert known_base_url(Settings(), folder, port=9) == "http://127.0.0.1:8002/fhir"


def test_what_was_never_served_is_where_it_would_be(tmp_path: Path) -> None:
    demo = make_demo_folder(tmp_path / "demo")
    assert known_base_url(Settings(), demo, port=8003) == "http://127.0.0.1:8003/fhir"
    folder = make_folder(tmp_path / "data", timezone=ZONE)
    assert known_base_url(ONE, folder, port=9) == "https://one.example/fhir"
    with pytest.raises(Failure) as refused:
        known_base_url(Settings(), folder, port=9)
    assert refused.value.category is Category.INVALID
    assert served_base_url(folder) is None


def test_another_public_address_is_refused_until_the_folder_takes_it(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "data", timezone=ZONE)
    for _ in range(2):
        assert settled_base_url(ONE, folder, port=9, moved=unexpected) == "https://one.example/fhir"
    assert known_base_url(Settings(), folder, port=9) == "https://one.example/fhir"
    with pytest.raises(Failure) as told:
        settled_base_url(OTHER, folder, port=9, moved=unexpected)
    assert told.value.category is Category.CONFLICT
    assert "https://one.example/fhir" in told.value.issues[0].text
    with pytest.raises(Failure) as told:
        known_base_url(OTHER, folder, port=9)
    assert told.value.category is Category.CONFLICT
    environment = {"FHIRMEDIA_PUBLIC_URL": "https://other.example", "FHIRMEDIA_ALLOW_VOLATILE_STORAGE": "1"}
    assert command("check", "--data", folder.path, **environment).code == 1
    assert command("reindex", "--data", folder.path, **environment).code == 0
    assert settled_base_url(OTHER, folder, port=9, moved=unexpected) == "https://other.example/fhir"
    assert command("check", "--data", folder.path, **environment).code == 0


def test_the_server_says_where_a_demo_was_before(tmp_path: Path) -> None:
    folder = make_demo_folder(tmp_path / "data")
    note_base_url(folder, "http://127.0.0.1:1/fhir")
    words = [sys.executable, "-m", "fhirmedia.cli.main", "serve", "--data", str(folder.path), "--port", "0"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        line = ""
        said = []
        while not line.startswith("ready:"):
            line = process.stderr.readline()
            assert line
            said.append(line)
    finally:
        process.terminate()
        process.wait(30)
        process.stderr.close()
    assert any("http://127.0.0.1:1/fhir" in each for each in said[:-1])
