"""Power lost at any moment: what was acknowledged is there after recovery, and nothing is there by half.

A kill leaves the kernel's memory in place; only a disk that forgets what was not synced can show a missing sync. The
controls break one promise each and must be found out by the same examination.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.faults.cutting import Cut, Life, judge, live
from tests.faults.spoiling import rename_before_sync

Property = Callable[[str, object], None]


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    """A sound server's life."""
    return live(tmp_path_factory.mktemp("life"))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Where surviving folders are made and opened: in memory if there is some, since nothing here waits for a disk."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as found:
        yield Path(found)


def losses(cuts: Iterable[Cut], place: Path) -> Counter[str]:
    """What went wrong, by its sentence, over all cuts."""
    found: Counter[str] = Counter()
    for number, cut in enumerate(cuts):
        found.update(judge(cut, place / f"cut-{number}"))
    return found


def test_every_sync_and_rename(life: Life, place: Path, record_property: Property) -> None:
    cuts = list(life.every_cut())
    assert losses(cuts, place) == {}
    told = max(len(cut.told) for cut in cuts)
    assert told > 20
    record_property("syncs and renames", life.boundaries)
    record_property("different disks examined", len(cuts))
    record_property("acknowledgements in the longest", told)


def test_random_cuts(life: Life, place: Path, full_counts: bool, record_property: Property) -> None:
    count = 1_000 if full_counts else 200
    assert losses(life.random_cuts(count, seed=11), place) == {}
    record_property("random cuts", count)


@pytest.mark.parametrize(
    ("broken", "loss"),
    [
        ("syncs that do nothing", "is gone"),
        ("names before bytes", "whose bytes are wrong"),
        ("commits without sync", "was acknowledged and is gone"),
    ],
)
def test_a_broken_promise_is_noticed(
    broken: str, loss: str, tmp_path: Path, place: Path, record_property: Property
) -> None:
    words = {
        "syncs that do nothing": [],
        "names before bytes": [f"objects={rename_before_sync(tmp_path)}"],
        "commits without sync": ["unsynced"],
    }[broken]
    spoilt = live(tmp_path, *words, forget=broken == "syncs that do nothing")
    cuts = [cut for cut in spoilt.every_cut() if cut.told]
    noticed = (
        number
        for number, cut in enumerate(cuts, 1)
        if any(loss in problem for problem in judge(cut, place / f"cut-{number}"))
    )
    record_property(f"{broken}: first loss at cut", f"{next(noticed)} of {len(cuts)}")
