"""What the audit rows of sessions say: who, what, how deep, with what end."""

import pytest

from fhirmedia.core.disclosure import Disclosure
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key
from fhirmedia.custody.proposal import Proposal
from tests.access.houses import House, anna, derm, importer, refused
from tests.access.records import TEXT, a, with_content
from tests.audit.rows import disclosures


def last_row(living: House) -> Disclosure:
    (row,) = [row for row in disclosures(living.path) if row.request_id == living.last_request]
    return row


def test_what_rows_say(living: House) -> None:
    caller = derm(user="Practitioner/dr", token_id="t-7", purpose="TREAT", roles=frozenset({"label-manager"}))
    made = living.create(caller, a("Media", "x"))
    row = last_row(living)
    assert (row.interaction, row.outcome, row.user, row.token_id) == ("create", "0", "Practitioner/dr", "t-7")
    assert (row.purpose, row.roles, row.subject, row.client) == ("TREAT", ("label-manager",), "urn:tests|derm", "tests")
    assert [(str(touch.key), touch.version, touch.depth) for touch in row.touched] == [
        (f"Media/{made['id']}", 1, "written")
    ]
    assert row.patients == ("anna",)
    living.search(caller, "Media", "status=completed")
    row = last_row(living)
    assert (row.interaction, row.patients) == ("search-type", ("anna",))
    assert [touch.depth for touch in row.touched] == ["listed"]
    assert row.query_sha256 is not None
    living.search(caller, None, "_type=Media")
    assert last_row(living).interaction == "search-system"
    living.read(caller, f"Media/{made['id']}")
    assert last_row(living).query_sha256 is None


def test_what_rows_say_of_bytes(living: House) -> None:
    id = living.upload(derm(), b"bytes")
    assert {(str(touch.key), touch.depth) for touch in last_row(living).touched} == {(f"Binary/{id}", "written")}
    made = living.create(derm(), a("Media", "x", **with_content(f"Binary/{id}", contentType=TEXT)))
    living.download(anna(), id)
    row = last_row(living)
    assert {(str(touch.key), touch.depth) for touch in row.touched} == {
        (f"Binary/{id}", "downloaded"),
        (f"Media/{made['id']}", "downloaded"),
    }
    assert row.patients == ("anna",)


def test_what_rows_say_of_refusals(living: House) -> None:
    living.put(importer(), a("Media", "hidden", unit="eyes"))
    for act, key, issue in (
        (lambda: living.read(derm(), "Media/hidden"), "Media/hidden", "not-found"),
        (lambda: living.read(derm(), "Media/never"), "Media/never", "not-found"),
        (lambda: living.put(derm(), a("Media", "hidden")), "Media/hidden", "not-supported"),
        (lambda: living.delete(derm(), "Media/hidden"), "Media/hidden", "not-found"),
        (lambda: living.download(derm(), "never"), "Binary/never", "not-found"),
    ):
        with pytest.raises(Failure):
            act()
        row = last_row(living)
        assert (row.outcome, row.issue) == ("4", issue)
        assert [(str(touch.key), touch.version, touch.depth) for touch in row.touched] == [(key, None, "refused")]


def test_the_audit_tells_what_the_answer_does_not(living: House) -> None:
    """Hidden and absent are one to the caller; whose record was reached for stands in the row."""
    living.put(importer(), a("Media", "hidden", unit="eyes"))
    for key, patients in (("Media/hidden", ("anna",)), ("Media/never", ())):
        with refused(Category.NOT_FOUND):
            living.read(derm(), key)
        assert last_row(living).patients == patients


class Crash(Exception):
    pass


@pytest.mark.parametrize(
    ("problem", "outcome", "issue"),
    [
        (Crash(), "12", "exception"),
        (Failure(Category.INTERNAL, "x"), "12", "exception"),
        (Failure(Category.UNAVAILABLE, "x"), "8", "transient"),
        (Failure(Category.DISK_FULL, "x"), "8", "no-store"),
        (Failure(Category.CORRUPT, "x"), "8", "exception"),
        (Failure(Category.INVALID, "x"), "4", "invalid"),
    ],
)
def test_every_end_has_its_outcome(living: House, problem: Exception, outcome: str, issue: str) -> None:
    custodian = living.archive.custodian

    async def fails() -> None:
        note = living.asker(derm()).note
        try:
            async with custodian.session(derm(), "read", note=note):
                raise problem
        finally:
            await custodian.refused(derm(), "read", problem, note=note)

    with pytest.raises(type(problem)):
        living.run(fails())
    assert (last_row(living).outcome, last_row(living).issue) == (outcome, issue)


def test_a_refusal_outside_a_session_is_written_once(living: House) -> None:
    custodian, failure = living.archive.custodian, Failure(Category.FORBIDDEN, "x")
    note = living.asker(derm()).note
    for _ in range(2):
        living.run(custodian.refused(derm(), "create", failure, note=note))
    assert (last_row(living).interaction, last_row(living).outcome) == ("create", "4")


def test_every_reading_is_told(living: House) -> None:
    living.put(importer(), a("Media", "m"))
    living.put(importer(), a("Media", "m", note=[{"text": "again"}]))
    for act, touched in (
        (lambda: living.read(derm(), "Media/m"), [("Media/m", 2, "opened")]),
        (lambda: living.vread(derm(), "Media/m", 1), [("Media/m", 1, "opened")]),
        (lambda: living.history(derm(), "Media/m"), [("Media/m", 2, "opened"), ("Media/m", 1, "opened")]),
        (lambda: living.history(derm(), "Media/m", "_count=1"), [("Media/m", 2, "opened")]),
        (lambda: living.delete(derm(), "Media/m"), [("Media/m", 3, "written")]),
    ):
        act()
        row = last_row(living)
        assert [(str(touch.key), touch.version, touch.depth) for touch in row.touched] == touched
        assert (row.patients, row.outcome) == (("anna",), "0")


def test_a_refusal_names_what_it_was_about(living: House) -> None:
    with refused(Category.FORBIDDEN):
        living.read(derm("user/Patient.r"), "Media/m")
    assert [str(touch.key) for touch in last_row(living).touched] == ["Media/m"]

    async def reads_and_fails() -> None:
        note = living.asker(derm(), about="Media/m").note
        async with living.archive.custodian.session(derm(), "read", note=note) as session:
            await session.read(Key("Patient", "anna"))
            raise Failure(Category.INVALID, "x")

    with refused(Category.INVALID):
        living.run(reads_and_fails())
    told = [(str(touch.key), touch.depth) for touch in last_row(living).touched]
    assert told == [("Media/m", "refused"), ("Patient/anna", "refused")]


def test_a_refused_write_names_what_it_was_to_be(living: House) -> None:
    """Whether or not it came as a request to an address."""
    living.put(importer(), a("Media", "hidden", unit="eyes"))

    async def write() -> None:
        async with living.archive.custodian.session(derm(), "update", note=living.asker(derm()).note) as session:
            await session.write(Proposal(Key("Media", "hidden"), "update", a("Media", "hidden")))

    with refused(Category.NOT_ALLOWED):
        living.run(write())
    assert [(str(touch.key), touch.depth) for touch in last_row(living).touched] == [("Media/hidden", "refused")]


def test_strangers_are_told_of_by_number(living: House) -> None:
    custodian = living.archive.custodian
    living.run(custodian.note_unauthenticated(address="192.0.2.1", route="GET /fhir", reason="login", number=7))
    row = list(disclosures(living.path))[-1]
    assert (row.interaction, row.issue, row.address) == ("unauthenticated 7 GET /fhir", "login", "192.0.2.1")
    assert (row.subject, row.outcome) == ("unknown", "4")
