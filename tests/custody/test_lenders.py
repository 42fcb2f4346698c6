"""Bodies that lend facts are known as they were seen last, and not for longer than there is room."""

import pytest

from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.custody import lenders
from fhirmedia.custody.lenders import Lenders


def record(id: str, sequence: int, body: bytes | None) -> Record:
    return Record(Key("Organization", id), 1, sequence, 0, "update", body, Facts())


def named(name: str) -> Key:
    return Key("Organization", name)


def test_lenders_are_known_as_they_were_seen_last() -> None:
    known = Lenders()
    assert known.known(named("one")) is None
    old, new = b'{"name":"old"}', b'{"name":"new"}'
    assert known.parsed(record("one", 5, old)) == {"name": "old"}
    assert known.known(named("one")) == (old, {"name": "old"})
    assert known.parsed(record("one", 5, bytes(old))) is known.parsed(record("one", 5, old)), "parsed once"
    assert known.parsed(record("one", 5, new)) == {"name": "new"}, "of the same number, but another"
    assert known.known(named("one")) == (new, {"name": "new"})
    assert known.parsed(record("one", 7, None)) is None
    assert known.known(named("one")) is None


def test_only_so_many_lenders_are_kept_and_no_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lenders, "MOST", 2)
    known = Lenders()
    for name in ("one", "two", "one", "three"):
        known.parsed(record(name, 1, b"{}"))
    assert {name: known.known(named(name)) is not None for name in ("one", "two", "three")} == {
        "one": True,
        "two": False,
        "three": True,
    }
    monkeypatch.setattr(lenders, "LARGEST", 1)
    assert known.parsed(record("four", 1, b"{}")) == {}
    assert known.known(named("four")) is None
