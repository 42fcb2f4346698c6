"""Who may read, claim, replace and delete bytes: their uploader until a record refers to them, then its readers."""

import base64
import hashlib
from dataclasses import replace

import pytest

from fhirmedia.core.errors import Category
from fhirmedia.core.records import Key
from tests.access.houses import BASE, House, anna, derm, eyes, importer, refused, someone
from tests.access.records import TEXT, Resource, a, with_content

NOT_THERE = "There is no such resource."
UNCLAIMABLE = "The url does not name a Binary this record may refer to."
BYTES = b"a picture, in words"


def media(
    binary: str, *, id: str = "m", of: str | None = "anna", unit: str | None = "derm", **attachment: object
) -> Resource:
    return a("Media", id, of=of, unit=unit, **with_content(f"Binary/{binary}", **attachment))


def test_unclaimed_bytes_are_their_uploaders(living: House) -> None:
    id = living.upload(derm(), BYTES)
    assert living.download(derm(), id) == BYTES
    elsewhere = someone(name="derm")
    assert living.download(elsewhere, id) == BYTES, "the same subject and client"
    for other in (eyes(), anna(), importer(), someone(name="kim"), derm("user/*.cruds", user="Practitioner/x")):
        if other.owner != derm().owner:
            with refused(Category.NOT_FOUND) as said:
                living.download(other, id)
            assert said.text == NOT_THERE


def test_another_client_of_the_same_person_is_somebody_else(living: House) -> None:
    id = living.upload(derm(), BYTES)
    with refused(Category.NOT_FOUND):
        living.download(replace(derm(), client="another app"), id)
    with refused(Category.NOT_FOUND):
        living.download(replace(derm(), subject="urn:elsewhere|derm"), id)


def test_uploaded_bytes_need_a_scope_all_the_same(living: House) -> None:
    id = living.upload(derm(), BYTES)
    for scope in ("user/Organization.cruds", "user/Encounter.cruds"):
        with refused(Category.FORBIDDEN):
            living.download(derm(scope), id)


def test_claimed_bytes_are_the_readers_of_their_record(living: House) -> None:
    id = living.upload(derm(), BYTES)
    made = living.create(derm(), media(id))
    assert made["content"]["size"] == len(BYTES)
    assert base64.b64decode(made["content"]["hash"]) == hashlib.sha1(BYTES).digest()
    assert made["content"]["contentType"] == TEXT
    for reader in (derm(), anna(), someone("user/Media.r"), someone("user/Media.r?status=completed")):
        assert living.download(reader, id) == BYTES
    strangers = (
        eyes(),
        anna(patient="bo"),
        someone("user/DocumentReference.rs"),
        someone("user/Media.r?status=stopped"),
    )
    for stranger in strangers:
        with refused(Category.NOT_FOUND) as said:
            living.download(stranger, id)
        assert said.text == NOT_THERE


def test_an_uploader_gives_up_what_it_claims_for_others(living: House) -> None:
    """Once claimed, having uploaded the bytes is worth nothing."""
    uploader = someone("user/Media.c user/Patient.r user/Organization.r")
    id = living.upload(uploader, BYTES)
    assert living.download(uploader, id) == BYTES
    living.create(uploader, media(id))
    with refused(Category.NOT_FOUND):
        living.download(uploader, id)


def test_bytes_follow_their_record(living: House) -> None:
    """Moved to another unit, deleted, or no longer referred to: both versions have to permit."""
    id = living.upload(importer(), BYTES)
    living.put(importer(), media(id))
    living.put(importer(), media(id, unit="eyes"))
    with refused(Category.NOT_FOUND):
        living.download(derm(), id)
    with refused(Category.NOT_FOUND):
        living.vread(derm(), "Media/m", 1)
    with refused(Category.NOT_FOUND):
        living.vread(eyes(), "Media/m", 1)
    assert living.download(eyes(), id) == BYTES
    living.put(importer(), a("Media", "m", unit="eyes"))
    assert living.download(eyes(), id) == BYTES, "an older version that may be read still refers to them"
    living.delete(importer(), "Media/m")
    for reader in (eyes(), derm(), importer()):
        with refused(Category.NOT_FOUND):
            living.download(reader, id)


def test_an_older_version_alone_opens_nothing(living: House) -> None:
    """The version that refers to the bytes was another unit's; the newest one is the caller's."""
    id = living.upload(importer(), BYTES)
    living.put(importer(), media(id, unit="eyes"))
    living.put(importer(), a("Media", "m", unit="derm"))
    for reader in (derm(), eyes()):
        with refused(Category.NOT_FOUND):
            living.download(reader, id)
    with refused(Category.UNPROCESSABLE):
        living.create(derm(), media(id))


def test_one_readable_record_of_several_is_enough(living: House) -> None:
    id = living.upload(importer(), BYTES)
    living.put(importer(), media(id, id="theirs", unit="eyes"))
    living.put(importer(), media(id, id="ours"))
    living.put(importer(), media(id, id="also-theirs", unit="eyes"))
    assert living.download(derm(), id) == BYTES
    living.delete(importer(), "Media/ours")
    with refused(Category.NOT_FOUND):
        living.download(derm(), id)


def test_a_record_refers_to_what_its_writer_may_read(living: House) -> None:
    loose = living.upload(importer(), BYTES)
    kept = living.upload(importer(), BYTES)
    living.put(importer(), media(kept, id="theirs", unit="eyes"))
    gone = living.upload(derm(), BYTES)
    living.delete(derm(), f"Binary/{gone}")
    said = set()
    for binary in (loose, kept, "never", gone):
        for url in (f"Binary/{binary}", f"{BASE}/Binary/{binary}"):
            with refused(Category.UNPROCESSABLE) as one:
                living.create(derm(), a("Media", "x", **with_content(url)))
            said.add((one.text, one.issues[0].code, one.issues[0].expression))
    assert said == {(UNCLAIMABLE, "not-found", "Media.content.url")}
    assert living.download(importer(), loose) == BYTES, "a refused claim claims nothing"


def test_bytes_are_of_one_patient(living: House) -> None:
    id = living.upload(derm(), BYTES)
    living.create(derm(), media(id))
    living.create(derm(), media(id, id="again"))
    for of in ("bo", None):
        with refused(Category.UNPROCESSABLE) as said:
            living.create(derm(), media(id, of=of))
        assert said.text == UNCLAIMABLE
    with refused(Category.UNPROCESSABLE):
        living.put(importer(), media(id, id="bo-s", of="bo"))


def test_a_corrected_patient_takes_the_bytes_along(living: House) -> None:
    """The record's own older versions do not bind its bytes to the wrong patient; another record would."""
    id = living.upload(importer(), BYTES)
    living.put(importer(), media(id, of="bo"))
    living.put(importer(), media(id, of="anna"))
    assert living.download(anna(), id) == BYTES
    with refused(Category.NOT_FOUND):
        living.download(anna(patient="bo"), id)
    with refused(Category.UNPROCESSABLE):
        living.put(importer(), media(id, id="another", of="bo"))


def test_a_claim_names_no_version(living: House) -> None:
    id = living.upload(derm(), BYTES)
    for version in (1, 99):
        with refused(Category.UNPROCESSABLE) as said:
            living.create(derm(), media(f"{id}/_history/{version}"))
        assert said.text == UNCLAIMABLE


def test_a_hidden_referrer_of_another_patient_says_no_more(living: House) -> None:
    """Readable through one record, bound to another patient by a second: the words are those of an unknown Binary."""
    id = living.upload(importer(), BYTES)
    living.put(importer(), media(id, of="bo", unit="eyes"))
    with refused(Category.UNPROCESSABLE) as bound:
        living.create(eyes(), media(id, unit="eyes"))
    with refused(Category.UNPROCESSABLE) as unknown:
        living.create(eyes(), media("never", unit="eyes"))
    assert bound.text == unknown.text


def test_claimed_bytes_do_not_change(living: House) -> None:
    id = living.upload(derm(), BYTES)
    assert living.upload(derm(), b"better", key=f"Binary/{id}", expected=1) == id
    assert living.download(derm(), id) == b"better"
    with refused(Category.PRECONDITION):
        living.upload(derm(), b"late", key=f"Binary/{id}", expected=1)
    living.create(derm(), media(id))
    for writer in (derm(), importer(), someone(name="kim")):
        with refused(Category.CONFLICT):
            living.upload(writer, b"worse", key=f"Binary/{id}")
        with refused(Category.CONFLICT):
            living.delete(writer, f"Binary/{id}")
    assert living.download(derm(), id) == b"better"


def test_nobody_replaces_or_deletes_what_somebody_else_uploaded(living: House) -> None:
    id = living.upload(derm(), BYTES)
    for other in (eyes(), anna(), someone(name="kim"), importer()):
        with refused(Category.NOT_ALLOWED) as put:
            living.upload(other, b"mine", key=f"Binary/{id}")
        with refused(Category.NOT_ALLOWED) as absent:
            living.upload(someone(name="kim"), b"mine", key="Binary/never")
        assert put.text == absent.text
        with refused(Category.NOT_FOUND):
            living.delete(other, f"Binary/{id}")
    assert living.download(derm(), id) == BYTES
    with refused(Category.PRECONDITION):
        living.delete(derm(), f"Binary/{id}", expected=9)
    assert living.delete(derm(), f"Binary/{id}") == 2
    assert living.delete(derm(), f"Binary/{id}") == 2
    with refused(Category.GONE):
        living.download(derm(), id)
    with refused(Category.NOT_FOUND):
        living.download(eyes(), id)


@pytest.mark.parametrize(
    ("wrong", "where"),
    [({"size": 1}, "size"), ({"hash": "AAAA"}, "hash"), ({"contentType": "image/png"}, "contentType")],
)
def test_what_is_stated_of_bytes_must_be_so(living: House, wrong: Resource, where: str) -> None:
    id = living.upload(derm(), BYTES)
    with refused(Category.INVALID) as said:
        living.create(derm(), media(id, **wrong))
    assert said.issues[0].expression == f"Media.content.{where}"
    assert living.download(derm(), id) == BYTES, "still unclaimed, still its uploader's"
    right = {"size": len(BYTES), "hash": base64.b64encode(hashlib.sha1(BYTES).digest()).decode()}
    made = living.create(derm(), media(id, contentType=f"{TEXT}; charset=utf-8", **right))
    assert made["content"]["contentType"] == f"{TEXT}; charset=utf-8"


def test_lifted_bytes_are_claimed_as_they_come(living: House) -> None:
    data = base64.b64encode(BYTES).decode()
    made = living.create(derm(), a("Media", "x", content={"contentType": TEXT, "data": data}))
    url = made["content"]["url"]
    assert "data" not in made["content"]
    assert living.download(anna(), url.removeprefix("Binary/")) == BYTES
    with refused(Category.NOT_FOUND):
        living.download(eyes(), url.removeprefix("Binary/"))
    with refused(Category.FORBIDDEN):
        living.create(derm(), a("Media", "x", unit="eyes", content={"contentType": TEXT, "data": data}))
    with refused(Category.UNPROCESSABLE):
        living.create(derm(), a("Media", "x", of="never", content={"contentType": TEXT, "data": data}))


def test_a_refused_write_leaves_no_bytes_to_be_read(living: House) -> None:
    """Bytes received for a write that is refused belong to nobody."""
    before = living.rows()
    with refused(Category.NOT_ALLOWED):
        living.upload(derm(), BYTES, key="Binary/chosen")
    with refused(Category.NOT_FOUND):
        living.download(derm(), "chosen")
    assert living.rows() == before + 2


def test_equal_bytes_of_two_patients_stay_apart(living: House) -> None:
    hers, his = living.upload(importer(), BYTES), living.upload(importer(), BYTES)
    living.put(importer(), media(hers, id="hers"))
    living.put(importer(), media(his, id="his", of="bo", unit="eyes"))
    assert living.download(anna(), hers) == BYTES
    with refused(Category.NOT_FOUND):
        living.download(anna(), his)
    own = living.upload(anna(), BYTES)
    assert own not in (hers, his)
    assert living.download(anna(), own) == BYTES


def test_what_may_not_be_read_may_not_be_claimed_again(living: House) -> None:
    """Its record was deleted, moved away, or claimed it for others."""
    gone, moved, given = (living.upload(importer(), BYTES) for _ in range(3))
    living.put(importer(), media(gone, id="gone"))
    living.delete(importer(), "Media/gone")
    living.put(importer(), media(moved, id="moved"))
    living.put(importer(), a("Media", "moved", unit="eyes"))
    writer = derm("user/Media.c user/Patient.r user/Organization.r")
    own = living.upload(writer, BYTES)
    living.create(writer, media(own))
    for caller, binary in ((derm(), gone), (importer(), gone), (derm(), moved), (eyes(), moved), (writer, own)):
        with refused(Category.UNPROCESSABLE) as said:
            living.create(caller, media(binary, unit="eyes" if caller.owner == eyes().owner else "derm"))
        assert said.text == UNCLAIMABLE
        with refused(Category.NOT_FOUND):
            living.download(caller, binary)
    for binary in (gone, moved):
        with refused(Category.NOT_ALLOWED):
            living.upload(derm(), b"new", key=f"Binary/{binary}")
    assert living.download(derm(), own) == BYTES
    assert given


def test_attachments_that_name_no_binary_stay_as_they_are(living: House) -> None:
    id = living.upload(derm(), BYTES)
    abroad = {"url": "https://elsewhere.example.org/x.pdf", "size": 7}
    contents = [{"attachment": {"title": "none"}}, {"attachment": {"url": f"Binary/{id}"}}, {"attachment": abroad}]
    made = living.create(derm(), a("DocumentReference", "x", content=contents))
    assert made["content"][0] == {"attachment": {"title": "none"}}
    assert made["content"][1]["attachment"]["size"] == len(BYTES)
    assert made["content"][2] == {"attachment": abroad}


def test_bytes_that_come_back_are_made_again(living: House) -> None:
    id = living.upload(derm(), BYTES)
    living.delete(derm(), f"Binary/{id}")
    living.upload(derm(), b"again", key=f"Binary/{id}")
    (record,) = living.run(living.stores.records.read([Key("Binary", id)]))
    assert record is not None
    assert (record.version, record.method) == (3, "update-as-create")
    assert living.download(derm(), id) == b"again"
