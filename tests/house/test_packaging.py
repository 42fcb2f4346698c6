"""What is built is what runs: the wheel carries code and profiles, and setting up twice costs nothing."""

import subprocess
import sys
import time
import tomllib
import zipfile
from pathlib import Path

import pytest

import fhirmedia

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_carries_every_module_and_profile(wheel: Path) -> None:
    listing = ["git", "ls-files", "fhirmedia", "profiles"]
    tracked = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    expected = {
        path if path.startswith("fhirmedia/") else f"fhirmedia/{path}" for path in tracked if (ROOT / path).exists()
    }
    with zipfile.ZipFile(wheel) as archive:
        assert expected <= set(archive.namelist())
        assert not [name for name in archive.namelist() if name.startswith(("tests/", "scripts/", "profiles/"))]


def test_the_wheel_says_version_licence_and_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
        commands = archive.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    assert f"Version: {fhirmedia.__version__}\n" in metadata
    assert "License-Expression: Apache-2.0\n" in metadata and "Requires-Python: >=3.11\n" in metadata
    assert "fhirmedia = fhirmedia.cli.main:main" in commands


def test_the_types_of_the_package_are_published(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert "fhirmedia/py.typed" in archive.namelist()


def test_setting_up_again_costs_nothing() -> None:
    for kind in ("test", "demo"):
        started = time.perf_counter()
        run = subprocess.run([ROOT / "scripts/setup", kind], capture_output=True, text=True, check=True)
        took_s = time.perf_counter() - started
        assert run.stdout == "" and took_s < 2, "the stamp is compared and nothing else"


def test_setup_refuses_an_unknown_kind_in_one_sentence() -> None:
    run = subprocess.run([ROOT / "scripts/setup", "everything"], capture_output=True, text=True, check=False)
    assert run.returncode == 2 and len(run.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "script", ["scripts/setup", "scripts/demo", "scripts/test", "scripts/check", "scripts/lock", ".ci/run"]
)
def test_scripts_are_executable_and_stop_at_the_first_error(script: str) -> None:
    path = ROOT / script
    assert path.stat().st_mode & 0o111
    first, second, *_ = path.read_text().splitlines()
    assert first == "#!/usr/bin/env bash" and second.startswith("# ")
    assert "set -euo pipefail" in path.read_text()
    subprocess.run(["bash", "-n", path], check=True)


def test_the_layers_of_the_imports_are_all_there() -> None:
    contract, *_ = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert contract["exhaustive"] is True
    named = {name.strip(" ()") for row in contract["layers"] for name in row.split("|")}
    present = {
        path.name.removesuffix(".py") for path in (ROOT / "fhirmedia").iterdir() if (path / "__init__.py").exists()
    }
    present |= {path.stem for path in (ROOT / "fhirmedia").glob("*.py")} - {"__init__"}
    assert present <= named
