"""Damage of every kind to a furnished folder, and what a check must name; some lasts, some is cured."""

import json
from collections.abc import Callable
from pathlib import Path

from fhirmedia.core.digests import digest_of
from tests.custody.inhabited import Inhabited

PICTURE, FILM = b"bytes of a picture", b"bytes of a film" * 80_000

Damage = Callable[[Inhabited], object]


def sql(*statements: str) -> Damage:
    """Damage by statements."""
    return lambda here: [here.sql(statement) for statement in statements]


def edit_body(old: str, new: str) -> Damage:
    """Damage to the body of the newest Media/m."""

    def damage(here: Inhabited) -> None:
        ((body,),) = here.sql("SELECT body FROM record_version WHERE type = 'Media' AND id = 'm' AND version = 2")
        assert old.encode() in body
        here.sql(
            "UPDATE record_version SET body = ? WHERE type = 'Media' AND id = 'm' AND version = 2",
            body.replace(old.encode(), new.encode(), 1),
        )

    return damage


def edit_facts(where: str, change: Callable[[dict], None]) -> Damage:
    """Damage to the facts of a version."""

    def damage(here: Inhabited) -> None:
        ((facts,),) = here.sql(f"SELECT facts FROM record_version WHERE {where}")
        stated = json.loads(facts)
        change(stated)
        here.sql(f"UPDATE record_version SET facts = ? WHERE {where}", json.dumps(stated).encode())

    return damage


def file(content: bytes, act: Callable[[Path], object]) -> Damage:
    """Damage to the file of a content."""
    return lambda here: act(here.object(content))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


M2 = "type = 'Media' AND id = 'm' AND version = 2"
M1 = "type = 'Media' AND id = 'm' AND version = 1"
N1 = "type = 'Media' AND id = 'n' AND version = 1"
RID = "(SELECT rid FROM res_row WHERE type = 'Media' AND id = 'm')"
WORDLESS = "res_row WHERE rid NOT IN (SELECT rowid FROM idx_words)"

LASTING = {
    "a content is gone": (file(PICTURE, Path.unlink), {("bytes", digest_of(PICTURE))}),
    "a content is cut short": (
        file(FILM, lambda path: path.write_bytes(FILM[:-1])),
        {("bytes", digest_of(FILM))},
    ),
    "a bit of a content fell over": (file(FILM, flip), {("bytes", digest_of(FILM))}),
    "the SHA-1 of a content is another": (
        sql(f"UPDATE blob SET sha1 = zeroblob(20) WHERE digest = '{digest_of(PICTURE)}'"),
        {("bytes", digest_of(PICTURE))},
    ),
    "a checksum of a content is another": (
        sql(f"UPDATE blob SET crcs = zeroblob(4) WHERE digest = '{digest_of(PICTURE)}'"),
        {("bytes", digest_of(PICTURE))},
    ),
    "a description is gone": (
        sql(f"DELETE FROM blob WHERE digest = '{digest_of(FILM)}'"),
        {("bytes", "Binary/film/_history/1")},
    ),
    "what a Binary stands for is gone": (
        sql("DELETE FROM binary_content WHERE binary_id = 'film'"),
        {("bytes", "Binary/film/_history/1")},
    ),
    "a version is gone": (
        sql(f"DELETE FROM record_version WHERE {M1}", "DELETE FROM binary_referrer WHERE sequence = 7"),
        {("records", "change 7"), ("records", "Media/m/_history/2")},
    ),
    "the only version of an upload is gone": (
        sql("DELETE FROM record_version WHERE type = 'Binary' AND id = 'loose'"),
        {("records", "change 6"), ("records", "Binary/loose/_history/1")},
    ),
    "a time runs backwards": (
        sql("UPDATE record_version SET changed_at = changed_at - 900000 WHERE sequence = 5"),
        {("records", "Binary/film/_history/1")},
    ),
    "a body names another id": (edit_body('"id":"m"', '"id":"q"'), {("records", "Media/m/_history/2")}),
    "a body names another type": (
        edit_body('"resourceType":"Media"', '"resourceType":"Other"'),
        {("records", "Media/m/_history/2")},
    ),
    "a body names another version": (
        edit_body('"versionId":"2"', '"versionId":"3"'),
        {("records", "Media/m/_history/2")},
    ),
    "a body names another time": (
        edit_body('"lastUpdated":"2', '"lastUpdated":"3'),
        {("records", "Media/m/_history/2")},
    ),
    "a body is no JSON": (edit_body('{"', "{"), {("records", "Media/m/_history/2")}),
    "a body is gone": (sql(f"UPDATE record_version SET body = NULL WHERE {M2}"), {("records", "Media/m/_history/2")}),
    "a body has no meta": (edit_body('"meta":{', '"atem":{'), {("records", "Media/m/_history/2")}),
    "what was deleted was never there": (
        sql("DELETE FROM record_version WHERE type = 'Media' AND id = 'gone' AND version = 1"),
        {("records", "change 10"), ("records", "Media/gone/_history/2"), ("records", "Binary/picture")},
    ),
    "what was deleted has no body": (
        sql("UPDATE record_version SET body = NULL WHERE type = 'Media' AND id = 'gone' AND version = 1"),
        {("records", "Media/gone/_history/1")},
    ),
    "a deletion has a body": (
        sql("UPDATE record_version SET body = '{}' WHERE type = 'Media' AND id = 'gone' AND method = 'delete'"),
        {("records", "Media/gone/_history/2")},
    ),
    "an upload has no owner": (
        edit_facts("type = 'Binary' AND id = 'loose'", lambda facts: facts.pop("owner")),
        {("facts", "Binary/loose/_history/1")},
    ),
    "an upload has a patient": (
        edit_facts("type = 'Binary' AND id = 'loose'", lambda facts: facts.update(patients=["p"])),
        {("facts", "Binary/loose/_history/1")},
    ),
    "the facts of an upload cannot be read": (
        sql("UPDATE record_version SET facts = 'x' WHERE type = 'Binary' AND id = 'loose'"),
        {("facts", "Binary/loose/_history/1")},
    ),
}

CURABLE = {
    "facts name no patient": (
        edit_facts(M2, lambda facts: facts.pop("patients")),
        {("facts", "Media/m/_history/2"), ("index", "Media/m/_history/2")},
    ),
    "facts of an old version name another unit": (
        edit_facts(M1, lambda facts: facts.update(unit="other")),
        {("facts", "Media/m/_history/1"), ("index", "Media/m/_history/1")},
    ),
    "facts of a deletion name another patient": (
        edit_facts("type = 'Media' AND id = 'gone' AND version = 2", lambda facts: facts.update(patients=["q"])),
        {("facts", "Media/gone/_history/2"), ("index", "Media/gone/_history/2")},
    ),
    "facts cannot be read": (
        sql(f"UPDATE record_version SET facts = '{{' WHERE {N1}"),
        {("facts", "Media/n/_history/1"), ("index", "Media/n/_history/1"), ("records", "Binary/film")},
    ),
    "facts that say nothing cannot be read": (
        sql("UPDATE record_version SET facts = '{' WHERE type = 'Organization' AND id = 'region'"),
        {("facts", "Organization/region/_history/1")},
    ),
    "facts name no Binary": (
        edit_facts(N1, lambda facts: facts.pop("binaries")),
        {("facts", "Media/n/_history/1"), ("records", "Binary/film")},
    ),
    "a version is not found by its unit": (
        sql("DELETE FROM version_reach WHERE reach = 'unit/derm' AND sequence = 7"),
        {("index", "Media/m/_history/1")},
    ),
    "a version is found by a unit it is not of": (
        sql("INSERT INTO version_reach (reach, type, sequence) VALUES ('unit/other', 'Media', 7)"),
        {("index", "Media/m/_history/1")},
    ),
    "an index row is gone": (sql(f"DELETE FROM idx_token WHERE rid = {RID}"), {("index", "Media/m")}),
    "an index row is too many": (
        sql(f"INSERT INTO idx_token SELECT param, 'forged', rid, system, grp FROM idx_token WHERE rid = {RID} LIMIT 1"),
        {("index", "Media/m")},
    ),
    "an index row is of a kind the resource has not": (
        sql(f"INSERT INTO idx_uri (param, value, rid, grp) SELECT 1, 'urn:x', rid, 0 FROM res_row WHERE rid = {RID}"),
        {("index", "Media/m")},
    ),
    "a resource is not in the index": (
        sql(f"DELETE FROM idx_patient WHERE rid = {RID}", f"DELETE FROM res_row WHERE rid = {RID}"),
        None,
    ),
    "the words of a resource are others": (
        sql(f"UPDATE idx_words SET body = 'other' WHERE rowid = {RID}"),
        {("index", "Media/m")},
    ),
    "words are kept of nothing": (
        sql("INSERT INTO idx_words (rowid, body) VALUES (99999999, 'stray')"),
        {("index", "row 99999999 of idx_words")},
    ),
    "words are kept of a resource that has none": (
        sql(f"INSERT INTO idx_words (rowid, body) SELECT rid, 'x' FROM {WORDLESS}"),
        None,
    ),
    "the words of a resource are not found": (
        sql("DELETE FROM idx_words_data WHERE id = (SELECT max(id) FROM idx_words_data)"),
        {("index", "idx_words")},
    ),
    "a resource of one version is not in the index": (
        sql("DELETE FROM res_row WHERE type = 'Media' AND id = 'n'"),
        None,
    ),
    "how a code is spelled is gone": (sql("DELETE FROM idx_spelling"), None),
    "the index shows an older version": (
        sql(f"UPDATE res_row SET sequence = sequence - 1 WHERE rid = {RID}"),
        {("index", "Media/m")},
    ),
    "the index has another unit": (
        sql(f"UPDATE res_row SET unit = 'other' WHERE rid = {RID}"),
        {("index", "Media/m")},
    ),
    "a timeline lacks a resource": (sql(f"DELETE FROM idx_patient WHERE rid = {RID}"), {("index", "Media/m")}),
    "a timeline shows a resource of another": (
        sql(f"INSERT INTO idx_patient SELECT 'q', recency, type, id, rid, how FROM idx_patient WHERE rid = {RID}"),
        {("index", "Media/m")},
    ),
    "what was deleted is in the index": (
        sql(
            "INSERT INTO res_row (rid, type, id, sequence, recency, wide, updated, holds, source, confidentiality)"
            " VALUES (99999999, 'Media', 'gone', 9, 0, 0, 0, 0, 'staff', 'N')"
        ),
        {("index", "Media/gone")},
    ),
    "index rows belong to nothing": (
        sql("INSERT INTO idx_string (param, plain, rid, exact, grp) VALUES (1, 'x', 99999999, 'x', 0)"),
        {("index", "row 99999999 of idx_string")},
    ),
    "a claim is not noted": (
        sql("DELETE FROM binary_referrer WHERE binary_id = 'film'"),
        {("records", "Media/n/_history/1"), ("records", "Binary/film")},
    ),
    "a claim is noted that nobody makes": (
        sql("INSERT INTO binary_referrer (binary_id, sequence) VALUES ('loose', 7)"),
        {("records", "Binary/loose")},
    ),
    "an upload is not known to be unclaimed": (
        sql("DELETE FROM unclaimed_binary WHERE binary_id = 'loose'"),
        {("records", "Binary/loose")},
    ),
    "a claimed Binary counts as unclaimed": (
        sql("INSERT INTO unclaimed_binary (binary_id, uploaded_at) VALUES ('film', 0)"),
        {("records", "Binary/film")},
    ),
}
