"""A data folder whose making was killed is finished by the next start, whenever that was; another's is left alone."""

import subprocess
import sys
from pathlib import Path

import pytest

from fhirmedia.backends.folder import MADE_BEFORE_VERSION, Folder, make_folder, open_folder
from fhirmedia.core.errors import Category, Failure
from fhirmedia.issuer.minting import is_demo, mark_demo

EVERY = 6
"""Of the moments there are; all of them take six times as long."""


def is_served(folder: Path) -> bool:
    open_folder(folder, timezone="Europe/Stockholm", allow_volatile=True)
    return Folder(folder).exists


class TestCutShort:
    """By kill -9, at statements of SQLite and between files."""

    def test_is_finished_by_the_next_start(self, tmp_path: Path) -> None:
        subprocess.run(
            [sys.executable, "-m", "tests.faults.folder_maker", str(tmp_path), str(EVERY)], check=True, timeout=120
        )
        folders = sorted((each for each in tmp_path.iterdir() if each.name != "warm"), key=lambda each: int(each.name))
        unmade = [each for each in folders if not Folder(each).exists]
        assert len(unmade) > 5
        for each in unmade:
            make_folder(each, timezone="Europe/Stockholm", mark=mark_demo)
            assert is_served(each)
        assert all(map(is_demo, folders))  # none has a VERSION without being marked

    @pytest.mark.parametrize("name", sorted(MADE_BEFORE_VERSION - {"keys", "audit", "run"}))
    def test_each_name_may_stand_there_alone(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).touch()
        make_folder(tmp_path, timezone="Europe/Stockholm")
        assert is_served(tmp_path)


class TestNotOurs:
    """What was made already, or by others, is not touched."""

    @pytest.mark.parametrize(
        "name", ["letter.txt", "objects/ab", "keys/audit.pem", "audit/1.db", "VERSION", ".git/HEAD"]
    )
    def test_is_refused_as_it_stands(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("kept")
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(Failure) as refused:
            make_folder(tmp_path, timezone="UTC")
        assert refused.value.category is Category.CONFLICT
        assert sorted(tmp_path.rglob("*")) == before

    def test_is_refused_while_another_makes_it(self, tmp_path: Path) -> None:
        with Folder(tmp_path).hold(alone=True), pytest.raises(Failure) as refused:
            make_folder(tmp_path, timezone="UTC")
        assert refused.value.category is Category.CONFLICT
        assert not Folder(tmp_path).exists
