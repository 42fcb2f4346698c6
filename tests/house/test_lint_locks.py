"""The lock lint refuses addresses, loose pins, old versions and locks that disagree."""

from pathlib import Path

import pytest

from scripts.lint_locks import LOCKS, agreement_findings, declared, lock_findings, numbers, pins

ROOT = Path(__file__).resolve().parents[2]
GOOD = """\
# Python 3.11
alembic==1.20.1 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via fhirmedia (pyproject.toml)
python-jose[cryptography]==3.5.0 \\
    --hash=sha256:cc
colorama==0.4.6 ; sys_platform == "win32" \\
    --hash=sha256:dd
"""


def test_a_good_lock_passes() -> None:
    assert list(lock_findings("a.lock", GOOD)) == []


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://packages.example/simple",
        "--extra-index-url https://packages.example/simple",
        "--find-links /wheels",
        "-i https://packages.example/simple",
        "x @ https://packages.example/x.whl",
        "alembic==1.0",
        "alembic>=1.0 --hash=sha256:aa",
        "pillow==12.2.9 --hash=sha256:aa",
        "python-jose==3.4.9 --hash=sha256:aa",
    ],
)
def test_a_bad_line_is_found(line: str) -> None:
    assert list(lock_findings("a.lock", f"{GOOD}{line}\n"))


def test_locks_agree_or_say_where_not() -> None:
    assert list(agreement_findings("a==1\n", "a==1\nb==2\n", names=("n", "w"))) == []
    assert list(agreement_findings("a==1\n", "a==2\n", names=("n", "w")))
    assert list(agreement_findings("a==1\n", "b==1\n", names=("n", "w")))


def test_versions_compare_by_number() -> None:
    assert numbers("1.10.0") > numbers("1.9") and numbers("1.0") == numbers("1") and numbers("2.0rc1") == numbers("2")


@pytest.mark.parametrize("lock", LOCKS)
def test_our_locks_pin_what_we_declare_for_the_python_we_declare(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "Python 3.11" in text
    assert set(declared((ROOT / "pyproject.toml").read_text())[lock]) <= set(pins(text))
