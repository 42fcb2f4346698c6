"""The keys that seal cursors: made once, durably, whoever comes first; a damaged file is named, not served with."""

import multiprocessing
from pathlib import Path

import pytest

from fhirmedia.core.errors import Category, Failure
from fhirmedia.custody.cursors import load_cursor_keys


def test_a_key_is_made_once(tmp_path: Path) -> None:
    made = load_cursor_keys(tmp_path)
    assert len(made) == 1
    assert load_cursor_keys(tmp_path) == made
    assert [path.name for path in tmp_path.iterdir()] == ["cursor.key"]
    assert (tmp_path / "cursor.key").stat().st_mode & 0o777 == 0o600


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(8) as pool:
        for round_number in range(20):
            folder = tmp_path / str(round_number)
            folder.mkdir()
            taken = pool.map(load_cursor_keys, [folder] * 8)
            assert len({tuple(keys) for keys in taken}) == 1


@pytest.mark.parametrize("content", ["", "\n", "ab\n", "zz" * 32])
def test_a_damaged_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "cursor.key").write_text(content)
    with pytest.raises(Failure) as refused:
        load_cursor_keys(tmp_path)
    assert refused.value.category is Category.INVALID
