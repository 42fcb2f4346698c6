"""The import contracts bite: in a copy of the package each kind of wrong import breaks the contract meant for it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOWN, PORTS, BACKENDS = "imports point down", "know the ports", "know the backends"

WRONG = [
    ("core/ids.py", "import fhirmedia.web.errors", DOWN),
    ("custody/session.py", "import fhirmedia.issuer.jose", DOWN),
    ("r4/codec.py", "import fhirmedia.dicom.part10", DOWN),
    ("shortcuts/__init__.py", "", DOWN),
    ("web/errors.py", "import fhirmedia.ports.records", PORTS),
    ("interactions/read.py", "import fhirmedia.ports.records", PORTS),
    ("interactions/read.py", "import fhirmedia.backends.tables", BACKENDS),
]


def broken(folder: Path) -> tuple[int, list[str]]:
    """Exit code of the contracts on the package in `folder`, and the names of those that it breaks."""
    program = Path(sys.executable).with_name("lint-imports")
    ran = subprocess.run(
        [program, "--config", ROOT / "pyproject.toml", "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.returncode, [line for line in ran.stdout.splitlines() if line.endswith("BROKEN")]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    shutil.copytree(ROOT / "fhirmedia", folder / "fhirmedia", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_our_own_package_keeps_the_contracts(package: Path) -> None:
    assert broken(package) == (0, [])


@pytest.mark.parametrize(("file", "line", "contract"), WRONG)
def test_a_wrong_import_breaks_its_contract(package: Path, file: str, line: str, contract: str) -> None:
    path = package / "fhirmedia" / file
    before = path.read_text() if path.exists() else None
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{before or ''}\n{line}\n")
    try:
        code, contracts = broken(package)
    finally:
        if before is None:
            shutil.rmtree(path.parent)
        else:
            path.write_text(before)
    assert code == 1
    assert any(contract in each for each in contracts), contracts
