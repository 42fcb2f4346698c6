"""Cursors are bookmarks of one caller for an hour; they permit nothing, and nobody can read or change one."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fhirmedia.access.caller import Caller
from fhirmedia.core.errors import Category
from fhirmedia.custody.cursors import LIFE_MS, CursorSeal, load_cursor_keys
from tests.access.houses import House, anna, derm, ids, importer, refused, someone
from tests.access.records import Resource, a

KEY, OTHER_KEY = bytes(range(32)), bytes(32)
SECRET = {"path": "Media", "after": [["2026"], "Media", "a-key-nobody-may-read"]}


def seal(*keys: bytes, now: int = 0) -> CursorSeal:
    return CursorSeal(keys or (KEY,), clock=lambda: now)


def raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.mark.parametrize("content", [SECRET, {"long": "x" * 5000}, {"when": [None, 1.5, "å"]}, {}])
def test_what_was_sealed_comes_back(content: dict[str, Any]) -> None:
    text = seal().seal(derm(), content)
    assert seal(now=LIFE_MS - 1).open(derm(), text) == content
    assert text.replace("-", "").replace("_", "").isalnum()
    assert len(text) < 500


def test_nobody_reads_one() -> None:
    text = seal().seal(derm(), SECRET)
    assert b"nobody" not in raw(text)
    assert text != seal().seal(derm(), SECRET), "the same content never looks the same"


def test_it_lasts_an_hour() -> None:
    text = seal().seal(derm(), SECRET)
    seal(now=LIFE_MS - 1).open(derm(), text)
    for late in (LIFE_MS, LIFE_MS + 1, 10 * LIFE_MS):
        with refused(Category.GONE) as said:
            seal(now=late).open(derm(), text)
        assert said.issues[0].code == "expired"


@pytest.mark.parametrize(
    "other",
    [
        someone(name="kim"),
        replace(derm(), client="another app"),
        replace(derm(), subject="urn:elsewhere|derm"),
        derm("user/Media.rs"),
        derm("user/*.rs"),
        replace(derm(), patient="anna"),
    ],
)
def test_it_is_one_callers(other: Caller) -> None:
    text = seal().seal(derm(), SECRET)
    with refused(Category.FORBIDDEN):
        seal().open(other, text)
    with refused(Category.FORBIDDEN):
        seal(now=LIFE_MS + 1).open(other, text)


def test_no_bit_of_it_can_be_changed() -> None:
    text = seal().seal(derm(), SECRET)
    sealed = raw(text)
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1
        with refused(Category.INVALID):
            seal().open(derm(), base64.urlsafe_b64encode(bytes(changed)).rstrip(b"=").decode())
    for length in range(0, len(text), 7):
        with refused(Category.INVALID):
            seal().open(derm(), text[:length])


@pytest.mark.parametrize(
    "text", ["", "x", "====", "a b", "\xe5" * 20, "A" * 16, "A" * 17, "A" * 5000, "%2e%2e", "\u0661" * 24]
)
def test_what_is_none_is_refused(text: str) -> None:
    with refused(Category.INVALID):
        seal().open(derm(), text)


def test_one_spelling_only() -> None:
    text = seal().seal(derm(), SECRET)
    for spelling in (text + "=", text + "==", text + "\n", " " + text, text.replace("-", "+").replace("_", "/") + "="):
        with refused(Category.INVALID):
            seal().open(derm(), spelling)


def test_keys_are_changed_one_at_a_time() -> None:
    text = seal(OTHER_KEY).seal(derm(), SECRET)
    assert seal(KEY, OTHER_KEY).open(derm(), text) == SECRET
    with refused(Category.INVALID):
        seal(KEY).open(derm(), text)
    assert seal(KEY).open(derm(), seal(KEY, OTHER_KEY).seal(derm(), SECRET)) == SECRET


def test_keys_are_kept_from_others(tmp_path: Path) -> None:
    first = load_cursor_keys(tmp_path)
    assert [len(key) for key in first] == [32]
    assert load_cursor_keys(tmp_path) == first
    assert (tmp_path / "cursor.key").stat().st_mode & 0o077 == 0
    (tmp_path / "cursor.key").write_text(f"{KEY.hex()}\n{first[0].hex()}\n")
    assert load_cursor_keys(tmp_path) == [KEY, first[0]]


@pytest.fixture
def living(living: House) -> House:
    """With six pictures in it."""
    for number in range(6):
        living.put(importer(), a("Media", f"m{number}"))
    return living


def following(bundle: Resource) -> str | None:
    return next((link["url"].partition("?")[2] for link in bundle["link"] if link["relation"] == "next"), None)


def test_pages_go_on_where_they_ended(living: House) -> None:
    seen, query = [], "_count=4"
    while query is not None:
        page = living.search(derm(), "Media", query)
        seen += ids(page)
        query = following(page)
    assert seen == [f"Media/m{number}" for number in range(6)]


def test_a_cursor_is_for_its_own_search(living: House) -> None:
    cursor = following(living.search(derm(), "Media", "_count=2"))
    assert cursor is not None
    for type, query in (
        ("DocumentReference", cursor),
        (None, cursor),
        ("Media", f"{cursor}&_count=1"),
        ("Media", f"{cursor}&{cursor}"),
        ("Media", f"status=completed&{cursor}"),
    ):
        with refused(Category.INVALID):
            living.search(derm(), type, query)
    assert len(ids(living.search(derm(), "Media", f"{cursor}&_format=json&_pretty=true"))) == 2
    with refused(Category.INVALID):
        living.history(derm(), "Media/m1", cursor)


def test_each_page_is_narrowed_anew(living: House) -> None:
    """What was moved out of reach between two pages is not on the second."""
    cursor = following(living.search(derm(), "Media", "_count=2"))
    assert cursor is not None
    for number in (3, 4):
        living.put(importer(), a("Media", f"m{number}", unit="eyes"))
    assert ids(living.search(derm(), "Media", cursor)) == ["Media/m2", "Media/m5"]


def test_fewer_units_see_less_with_the_same_cursor(living: House) -> None:
    """Units are no part of what a cursor is bound to: it is narrowed to those of the present token."""
    cursor = following(living.search(derm(), "Media", "_count=2"))
    assert cursor is not None
    moved = replace(derm(), units=frozenset({"eyes"}))
    assert ids(living.search(moved, "Media", cursor)) == []


def test_another_callers_cursor_is_forbidden(living: House) -> None:
    cursor = following(living.search(derm(), "Media", "_count=2"))
    assert cursor is not None
    for other in (someone(), anna(), derm("user/Media.rs")):
        with refused(Category.FORBIDDEN):
            living.search(other, "Media", cursor)
    living.hands.now += LIFE_MS
    with refused(Category.GONE):
        living.search(derm(), "Media", cursor)


def test_a_history_is_walked_too(living: House) -> None:
    for number in range(4):
        living.put(importer(), a("Media", "m0", note=[{"text": str(number)}]))
    seen: list[str] = []
    page = living.history(derm(), "Media/m0", "_count=2")
    while True:
        assert page["total"] == 5
        seen += [entry["resource"]["meta"]["versionId"] for entry in page["entry"]]
        query = following(page)
        if query is None:
            break
        for other in (someone(), anna()):
            with refused(Category.FORBIDDEN):
                living.history(other, "Media/m0", query)
        with refused(Category.INVALID):
            living.history(derm(), "Media/m1", query)
        page = living.history(derm(), "Media/m0", query)
    assert seen == ["5", "4", "3", "2", "1"]


def test_hidden_versions_are_on_no_page(living: House) -> None:
    living.put(importer(), a("Media", "turned", unit="eyes"))
    living.put(importer(), a("Media", "turned", unit="eyes", note=[{"text": "again"}]))
    living.put(importer(), a("Media", "turned"))
    living.put(importer(), a("Media", "turned", note=[{"text": "more"}]))
    page = living.history(derm(), "Media/turned", "_count=2")
    assert [entry["resource"]["meta"]["versionId"] for entry in page["entry"]] == ["4", "3"]
    assert (page["total"], following(page)) == (2, None)
    page = living.history(derm(), "Media/turned", "_count=1")
    assert following(page) is not None
    assert "eyes" not in json.dumps(living.history(derm(), "Media/turned"))
