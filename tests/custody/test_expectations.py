"""What a write expects to find is compared with what is there."""

import pytest

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.custody.proposal import Expected, Proposal, expect


def version(number: int, *, deleted: bool = False) -> Record:
    """A version of some record."""
    body = None if deleted else b"{}"
    return Record(Key("Basic", "a"), number, 1, 0, "delete" if deleted else "update", body, Facts())


@pytest.mark.parametrize(
    ("expected", "old", "holds"),
    [
        (None, None, True),
        (None, version(1), True),
        (2, version(2), True),
        (2, version(2, deleted=True), True),
        (2, version(3), False),
        (2, version(1), False),
        (2, None, False),
        ("any", version(1), True),
        ("any", version(2, deleted=True), False),
        ("any", None, False),
        ("none", None, True),
        ("none", version(2, deleted=True), True),
        ("none", version(1), False),
    ],
)
def test_what_is_expected(expected: Expected, old: Record | None, holds: bool) -> None:
    proposal = Proposal(Key("Basic", "a"), "update", {}, expected=expected)
    if holds:
        expect(proposal, old)
        return
    with pytest.raises(Failure) as caught:
        expect(proposal, old)
    assert caught.value.category is Category.PRECONDITION


@pytest.mark.parametrize(
    ("old", "holds"), [(version(2), True), (version(1), False), (version(3), False), (None, False)]
)
def test_a_patch_is_of_the_version_it_was_applied_to(old: Record | None, holds: bool) -> None:
    proposal = Proposal(Key("Basic", "a"), "update", {}, expected=2, patched=True)
    if holds:
        expect(proposal, old)
        return
    with pytest.raises(Failure) as caught:
        expect(proposal, old)
    assert caught.value.category is Category.CONFLICT
