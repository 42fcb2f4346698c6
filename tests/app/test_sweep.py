"""A server sweeps the folder it serves: one of its processes has the right to, until it ends."""

from pathlib import Path

from fhirmedia.backends.folder import Folder
from tests.servers import served_process, serving


def sweeps(path: Path) -> bool:
    """Whether somebody has the right to sweep."""
    mine = Folder(path).take_sweeper()
    if mine is None:
        return True
    mine.close()
    return False


def test_whoever_serves_sweeps(tmp_path: Path) -> None:
    with serving(tmp_path / "data"):
        assert sweeps(tmp_path / "data")
        with serving(tmp_path / "data"):
            assert sweeps(tmp_path / "data")
    assert not sweeps(tmp_path / "data")


def test_of_several_workers_one_does(tmp_path: Path) -> None:
    with served_process(tmp_path / "data", "--workers", "2"):
        assert sweeps(tmp_path / "data")
    assert not sweeps(tmp_path / "data")
