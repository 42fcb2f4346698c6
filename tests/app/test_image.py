"""The container image: what the Dockerfile says, done natively on a read-only tree until the server answers."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.access.issuing import row, write_list
from tests.app.image_root import ROOT, Tree, build, can_mount, environment, instructions

STAGES = instructions((ROOT / "Dockerfile").read_text())
FINAL = STAGES[-1]
GIVEN = {
    "FHIRMEDIA_PUBLIC_URL": "https://archive.example.org",
    "FHIRMEDIA_TRUSTED_ISSUERS": "/etc/fhirmedia/issuers.json",
}


def said(instruction: str) -> str:
    """The rest of the last such line of the image's own stage."""
    return [rest for name, rest in FINAL if name == instruction][-1]


def command(instruction: str, *, port: int) -> list[str]:
    """A command in JSON form, on a port that is free here."""
    words: list[str] = json.loads(re.sub(r"^.*?\[", "[", said(instruction)))
    return [word.replace("8080", str(port)) for word in words]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(built, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(params=["root of its own", "copy without write permission"])
def tree(request: pytest.FixtureRequest, wheel: Path) -> Iterator[Tree]:
    mounted = request.param == "root of its own" and can_mount() is not None
    # Not tmp_path: the image's user must be able to enter.
    folder = Path(tempfile.mkdtemp(prefix="image-"))
    try:
        folder.chmod(0o755)
        issuers = folder / "issuers"
        issuers.mkdir()
        write_list(issuers, row())
        variables = environment(FINAL)
        yield build(folder, wheel, issuers=issuers, user=said("USER"), variables=variables, mounted=mounted)
    finally:
        subprocess.run(["chmod", "-R", "u+w", folder], check=True)
        shutil.rmtree(folder)


@contextlib.contextmanager
def running(tree: Tree, port: int) -> Iterator[subprocess.Popen[str]]:
    server = tree.start(command("CMD", port=port), **GIVEN)
    try:
        yield server
    finally:
        server.kill()
        server.communicate()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def healthy(tree: Tree, port: int) -> bool:
    """Whether the image's own check is content."""
    check = tree.start(command("HEALTHCHECK", port=port), **GIVEN)
    check.communicate(timeout=30)
    return check.returncode == 0


def test_the_image_serves_as_an_ordinary_user_on_a_read_only_root(tree: Tree, record_property: Any) -> None:
    port = free_port()
    with running(tree, port) as server:
        deadline = time.monotonic() + 60
        while not healthy(tree, port):
            assert server.poll() is None, server.communicate()
            assert time.monotonic() < deadline
        status = Path(f"/proc/{server.pid}/status").read_text()
        if tree.drops_user:
            assert "\nUid:\t10001\t10001\t10001\t10001\n" in status
            assert "\nCapEff:\t0000000000000000\n" in status
        if tree.way:
            mounts = [line.split() for line in Path(f"/proc/{server.pid}/mountinfo").read_text().splitlines()]
            assert "ro" in next(fields[5] for fields in mounts if fields[4] == "/").split(",")
        kept = [path for path in tree.data.rglob("*") if not path.is_socket()]
        assert kept
        assert not [path for path in kept if path.stat().st_mode & 0o077]
        assert {path.stat().st_uid for path in kept} == {10001 if tree.drops_user else os.geteuid()}
        server.send_signal(signal.SIGTERM)
        out, problem = server.communicate(timeout=30)
        # The server closes everything, then ends by the signal it was sent, as init systems expect.
        assert server.returncode in (0, -signal.SIGTERM), (out, problem)
        assert "Traceback" not in problem
    record_property("image", f"served with {'a mounted' if tree.way else 'a copied'} read-only tree")


def test_the_image_refuses_to_serve_without_an_issuer(tree: Tree) -> None:
    server = tree.start(command("CMD", port=free_port()), FHIRMEDIA_PUBLIC_URL=GIVEN["FHIRMEDIA_PUBLIC_URL"])
    _out, problem = server.communicate(timeout=60)
    assert server.returncode != 0
    assert "FHIRMEDIA_TRUSTED_ISSUERS" in problem
    assert len(problem.strip().splitlines()) == 1


def test_packages_enter_the_image_by_their_hashes_only() -> None:
    installs = [rest for stage in STAGES for name, rest in stage if name == "RUN" and "pip install" in rest]
    assert installs
    for line in installs:
        assert "--no-deps" in line
        assert ("--require-hashes" in line and "-r requirements.lock" in line) or "--no-index" in line
    assert not [rest for name, rest in FINAL if name == "RUN" and "pip" in rest]


def test_the_image_runs_as_a_numbered_ordinary_user_and_keeps_its_data_in_one_place() -> None:
    uid, gid = map(int, said("USER").split(":"))
    assert min(uid, gid) >= 1000
    assert said("VOLUME") == "/data"
    assert json.loads(said("CMD"))[:4] == ["fhirmedia", "serve", "--data", "/data"]


def test_what_the_image_copies_is_let_through_by_dockerignore() -> None:
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {word for name, rest in STAGES[0] if name == "COPY" for word in rest.split()[:-1]}
    assert copied == let_through
    assert all((ROOT / path).exists() for path in copied)


def test_compose_gives_a_read_only_root_and_asks_for_what_serve_needs() -> None:
    (service,) = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"].values()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert {word.split(":")[1] for word in service["volumes"]} == {"/data", "/etc/fhirmedia/issuers.json"}
    assert set(service["environment"]) == set(GIVEN)
    assert service["environment"]["FHIRMEDIA_PUBLIC_URL"].startswith("${FHIRMEDIA_PUBLIC_URL:?")
    assert all(mapping.startswith("127.0.0.1:") for mapping in service["ports"]), "the TLS proxy stands in front"
