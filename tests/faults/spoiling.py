"""Test copies of product files in which one promise is broken; the suites must notice each of them."""

from pathlib import Path

BACKENDS = Path(__file__).parents[2] / "fhirmedia" / "backends"

LATER = """\
    def _later(self, source: Path, target: Path) -> None:
        kept = source.with_suffix(".kept")
        os.rename(source, kept)
        threading.Timer(0.3, os.rename, (kept, target)).start()

    def _path(self"""

APPEND_LATER = """\
        act = lambda: asyncio.ensure_future(self._commits.submit((disclosure, raw_query)))
        asyncio.get_running_loop().call_later(0.1, act)
        return RowName(self._log_id, 0)"""


def spoilt(name: str, place: Path, *changes: tuple[str, str]) -> Path:
    """A copy of a file of `backends` in `place`, each old text replaced by a new one; every old text must be there."""
    source = (BACKENDS / name).read_text(encoding="utf-8")
    for old, new in changes:
        assert source.count(old) == 1, f"{name} no longer reads: {old}"
        source = source.replace(old, new)
    copy = place / name
    copy.write_text(source, encoding="utf-8")
    return copy


def rename_before_sync(place: Path) -> Path:
    """objects_files.py that gives an upload its name first and syncs its bytes afterwards."""
    digest = "target = self._path(Digest('sha256:' + receiving._sha256.hexdigest()))"
    return spoilt(
        "objects_files.py",
        place,
        ("blob = receiving.finish()\n        target = self._path(blob.digest)", digest),
        ("        return blob\n", "        return receiving.finish()\n"),
    )


def bytes_after_record(place: Path) -> Path:
    """objects_files.py that acknowledges an upload and gives it its name a moment later."""
    return spoilt(
        "objects_files.py",
        place,
        ("import asyncio\n", "import asyncio\nimport threading\n"),
        ("os.rename(receiving.path, target)", "self._later(receiving.path, target)"),
        ("    def _path(self", LATER),
    )


def answer_before_audit(place: Path) -> Path:
    """disclosures_sql.py that lets an answer go while its row still waits."""
    return spoilt(
        "disclosures_sql.py",
        place,
        ("        return await self._commits.submit((disclosure, raw_query))", APPEND_LATER),
    )
