"""Pages of a timeline: a walk is the set, cursors are sealed, totals exact or left out, parts are marked as such."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fhirmedia.r4.query_string import decode_query
from tests.access.records import a, put
from tests.fhir.rest import Body, link, matches, names, pages, refusal
from tests.fhir.timelines import FOUR, HOUR_MS, NEWEST_FIRST, Hand, furnished
from tests.servers import Served

World = tuple[Served, Hand]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with furnished(tmp_path_factory.mktemp("pages") / "data") as served:
        yield served


@pytest.fixture(scope="module")
def served(world: World) -> Served:
    return world[0]


@pytest.fixture(scope="module")
def get(served: Served) -> Callable[..., Any]:
    """Searches as staff."""
    staff = served.headers()

    def search(query: str, prefer: str | None = None) -> Any:
        headers = staff if prefer is None else staff | {"Prefer": prefer}
        url = query if query.startswith("http") else f"{served.base}/{query}"
        return served.http.get(url, headers=headers)

    return search


@pytest.mark.parametrize("count", [1, 3, 7, 9, 10, 11])
@pytest.mark.parametrize("sort", ["", "&_sort=-when", "&_sort=status,-when", "&_sort=-_lastUpdated"])
def test_a_walk_is_the_set_in_its_order(served: Served, count: int, sort: str) -> None:
    staff = served.headers()
    search = f"{served.base}/?_type={FOUR}&patient=anna{sort}"
    whole = names(served.http.get(search, headers=staff).json())
    walked = list(pages(served, f"{search}&_count={count}", staff))
    assert [name for page in walked for name in names(page)] == whole
    assert {len(names(page)) for page in walked[:-1]} <= {count}
    assert 1 <= len(names(walked[-1])) <= count
    assert walked[0]["total"] == 10
    if sort == "&_sort=-when":
        assert tuple(whole) == NEWEST_FIRST


@pytest.mark.parametrize("where", ["Media?", f"Patient/anna/*?_type={FOUR}&", "Patient/anna/Media?", "?_type=Media&"])
def test_next_links_keep_the_place_of_the_search(served: Served, where: str) -> None:
    staff = served.headers()
    path = where.partition("?")[0]
    search = f"{served.base}/{where}_sort=-when&_count=2"
    first = served.http.get(search, headers=staff).json()
    following = link(first, "next")
    assert following is not None
    assert following.startswith(f"{served.base}/{path}?_cursor=")
    assert [name for name, _ in decode_query(following.partition("?")[2])] == ["_cursor"]
    assert link(first, "last") is None
    posted = served.http.post(
        f"{served.base}/{path}/_search" if path else f"{served.base}/_search",
        content=following.partition("?")[2],
        headers=staff | {"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert names(posted.json()) == names(served.http.get(following, headers=staff).json())


def test_a_page_can_be_asked_for_again(get: Callable[..., Any]) -> None:
    following = link(get(f"?_type={FOUR}&patient=anna&_count=4&_sort=-when").json(), "next")
    assert tuple(names(get(following).json())) == tuple(names(get(following).json())) == NEWEST_FIRST[4:8]


@pytest.fixture
def cursor(get: Callable[..., Any]) -> str:
    """A next link of a search for Media."""
    following = link(get("Media?_count=2&_sort=-when").json(), "next")
    assert following is not None
    return following


class TestCursors:
    """A bookmark of one caller for an hour, and not a permission."""

    def test_another_callers_is_refused(self, served: Served, cursor: str) -> None:
        for other in (
            served.headers(user="Practitioner/dr"),
            served.headers("user/Media.rs"),
            served.headers("patient/*.rs", patient="anna"),
        ):
            assert refusal(served.http.get(cursor, headers=other), 403)["code"] == "forbidden"
        refusal(served.http.get(cursor), 401)
        assert served.http.get(cursor, headers=served.headers()).status_code == 200

    @pytest.mark.parametrize("spoil", ["cut", "longer", "flipped", "padded", "empty", "text", "other-alphabet"])
    def test_a_tampered_one_is_refused(self, get: Callable[..., Any], cursor: str, spoil: str) -> None:
        url, _, text = cursor.partition("_cursor=")
        middle = len(text) // 2
        spoiled = {
            "cut": text[:-4],
            "longer": text + "AAAA",
            "flipped": text[:middle] + ("A" if text[middle] != "A" else "B") + text[middle + 1 :],
            "padded": text + "=",
            "empty": "",
            "text": "next-page",
            "other-alphabet": text[:-1] + "%2B",
        }[spoil]
        refusal(get(f"{url}_cursor={spoiled}"), 400)

    def test_it_stands_alone(self, get: Callable[..., Any], cursor: str) -> None:
        for more in ("&_count=1", "&patient=bo", "&_sort=when", "&" + cursor.partition("?")[2], "&x=1"):
            refusal(get(cursor + more), 400)
            refusal(get(cursor + more, "handling=lenient"), 400)
        for harmless in ("&_format=json", "&_pretty=true"):
            assert get(cursor + harmless).status_code == 200

    def test_it_belongs_to_its_place(self, get: Callable[..., Any], cursor: str) -> None:
        for place in ("/Patient?", "/?", "/Patient/anna/Media?"):
            refusal(get(cursor.replace("/Media?", place)), 400)

    def test_it_expires(self, world: World, get: Callable[..., Any]) -> None:
        served, clock = world
        following = link(get("Media?_count=2").json(), "next")
        assert following is not None
        clock.ms += HOUR_MS - 1
        assert served.http.get(following, headers=served.headers()).status_code == 200
        clock.ms += 1
        assert refusal(served.http.get(following, headers=served.headers()), 410)["code"] == "expired"

    def test_it_shows_no_more_than_the_caller_may_see_now(self, served: Served) -> None:
        put(served, a("Media", "m-leaves", createdDateTime="1999"))
        derm = served.headers(units=["derm"])
        first = served.http.get(f"{served.base}/Media?_count=2&_sort=-when&patient=anna", headers=derm).json()
        assert names(first) == ["Media/m-lesion", "Media/m-sound"]
        put(served, a("Media", "m-leaves", unit="eyes", createdDateTime="1999"))
        following = link(first, "next")
        assert following is not None
        assert names(served.http.get(following, headers=derm).json()) == []
        served.http.delete(f"{served.base}/Media/m-leaves", headers=served.importer())


class TestStrictness:
    """Unknown is refused, or with `handling=lenient` left out and said so."""

    @pytest.mark.parametrize(
        "query", ["Media?paitent=anna", "Media?patient=", "Media?x=1&y=2", "Media?:missing=true", "?foo=1"]
    )
    def test_unknown_names_and_empty_values_are_refused(self, get: Callable[..., Any], query: str) -> None:
        refusal(get(query), 400)
        refusal(get(query, "handling=strict"), 400)

    def test_lenient_forgives_and_says_so(self, get: Callable[..., Any]) -> None:
        asked = "Media?paitent=anna&status=completed&created=&_sort=-when&_count=1"
        first = get(asked, "handling=lenient").json()
        outcomes = [each for each in first["entry"] if each["search"]["mode"] == "outcome"]
        (outcome,) = outcomes
        assert {issue["severity"] for issue in outcome["resource"]["issue"]} == {"warning"}
        said = " ".join(issue["diagnostics"] for issue in outcome["resource"]["issue"])
        assert "paitent" in said
        assert "created" in said
        assert "anna" not in said
        kept = decode_query((link(first, "self") or "").partition("?")[2])
        assert [name for name, _ in kept] == ["status", "_sort", "_count"]
        second = get(link(first, "next"))
        assert second.status_code == 200
        assert not set(names(second.json())) & set(names(first))

    @pytest.mark.parametrize(
        "query",
        [
            "Media?when=yesterday",
            "Media?status:text=x",
            "Media?subject.name=x",
            "Media?_include=Media:status",
            "Media?_revinclude=Media:subject",
            "Media?_has:Media:subject:status=x",
            "Media?_filter=x",
            "Media?_text=x*",
            "Media?_contained=true",
            "Media?status:missing=maybe",
            "Media?_count=-1",
            "Media?_sort=nonsense",
            "Media?_summary=some",
            "Media?_total=many",
            "Media?_elements=nonsense",
            "Media?status=a|b|c",
            "Media?identifier=|",
            "Media?identifier=a\\b",
            "Media?patient=Nonsense/1/2",
            "Media?_id=a|b",
        ],
    )
    def test_lenient_forgives_nothing_else(self, get: Callable[..., Any], query: str) -> None:
        refusal(get(query), 400)
        refusal(get(query, "handling=lenient"), 400)


class TestParts:
    """`_summary`, `_elements`, `_total` and `_count=0`."""

    def test_count_only(self, get: Callable[..., Any]) -> None:
        for query in ("_summary=count", "_count=0"):
            bundle = get(f"?_type={FOUR}&patient=anna&{query}").json()
            assert bundle["total"] == 10
            assert "entry" not in bundle
            assert link(bundle, "next") is None

    @pytest.mark.parametrize(
        ("query", "shown", "hidden"),
        [
            ("_summary=true", {"id", "meta", "status", "subject", "content", "bodySite"}, {"note", "extension"}),
            ("_summary=text", {"id", "meta", "text", "status", "content"}, {"subject", "note", "bodySite"}),
            ("_summary=data", {"id", "meta", "status", "subject", "note", "extension"}, {"text"}),
            ("_elements=subject,note", {"id", "meta", "status", "content", "subject", "note"}, {"text", "bodySite"}),
            ("_elements=created", {"id", "meta", "createdDateTime", "status", "content"}, {"subject", "note"}),
        ],
    )
    def test_parts_are_marked_as_parts(
        self, get: Callable[..., Any], full: Body, query: str, shown: set[str], hidden: set[str]
    ) -> None:
        (part,) = matches(get(f"Media?_id=m-full&{query}").json())
        assert part.keys() >= shown
        assert not part.keys() & hidden
        tags = part["meta"]["tag"]
        assert [tag["code"] for tag in tags if tag["code"] == "SUBSETTED"] == ["SUBSETTED"]
        assert part["meta"]["versionId"] == full["meta"]["versionId"]
        for name in part.keys() - {"meta"}:
            assert part[name] == full[name]

    def test_the_whole_is_not_marked(self, get: Callable[..., Any], full: Body) -> None:
        for query in ("", "&_summary=false"):
            assert matches(get(f"Media?_id=m-full{query}").json()) == [full]

    def test_summary_and_elements_do_not_go_together(self, get: Callable[..., Any]) -> None:
        for summary in ("true", "text", "data"):
            refusal(get(f"Media?_summary={summary}&_elements=id"), 400)

    def test_totals(self, get: Callable[..., Any]) -> None:
        assert get("Media?_total=none").json().get("total") is None
        for total in ("accurate", "estimate"):
            assert get(f"Media?patient=anna&_total={total}&_count=1").json()["total"] == 4
        following = link(get("Media?_total=accurate&_count=1").json(), "next")
        assert get(following).json()["total"] == get("Media?_summary=count").json()["total"]


@pytest.fixture(scope="module")
def full(served: Served) -> Iterator[Body]:
    """A Media with something in every kind of element."""
    narrative = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">A picture</div>'}
    sent = a(
        "Media", "m-full", of="bo", text=narrative, note=[{"text": "n"}], bodySite={"text": "arm"},
        createdDateTime="2020",
    )  # fmt: skip
    put(served, sent)
    body: Body = served.http.get(f"{served.base}/Media/m-full", headers=served.headers()).json()
    yield body
    served.http.delete(f"{served.base}/Media/m-full", headers=served.headers())


def test_what_clients_send_without_meaning_is_ignored_aloud(get: Callable[..., Any]) -> None:
    bundle = get("Media?_totalMethod=count&_elements=resourceType,status&_id=m-lesion").json()
    assert names(bundle) == ["Media/m-lesion"]
    said = [
        issue["diagnostics"]
        for each in bundle["entry"]
        if "issue" in each["resource"]
        for issue in each["resource"]["issue"]
    ]
    assert len(said) == 2
    kept = dict(decode_query((link(bundle, "self") or "").partition("?")[2]))
    assert kept == {"_elements": "status", "_id": "m-lesion"}


def test_who_looked_is_searched_by_patient_and_date(world: World) -> None:
    served, clock = world
    auditor = served.headers("user/AuditEvent.rs", roles=["auditor"])
    clock.ms += HOUR_MS
    then = clock.ms
    clock.ms += 60_000
    served.http.get(f"{served.base}/Media/m-lesion", headers=served.headers(user="Practitioner/dr"))
    since = f"ge2026-01-01T0{(then - 1_767_225_600_000) // HOUR_MS}:00:00Z"

    def events(query: str) -> list[Body]:
        answer = served.http.get(
            f"{served.base}/AuditEvent?{query}", headers=served.headers("user/AuditEvent.rs", roles=["auditor"])
        )
        assert answer.status_code == 200, answer.text
        return matches(answer.json())

    (event,) = events(f"patient=anna&date={since}")
    assert event["recorded"].startswith("2026-01-01T")
    assert events(f"patient=Patient/bo&date={since}") == []
    assert events(f"_id={event['id']}") == [event]
    assert event in events(f"_lastUpdated={since}&patient=anna")
    read = served.http.get(f"{served.base}/AuditEvent/{event['id']}", headers=auditor)
    assert read.json() == event
    refusal(served.http.get(f"{served.base}/AuditEvent?patient=anna", headers=served.headers()), 403)
    refusal(served.http.get(f"{served.base}/AuditEvent?source=x", headers=auditor), 400)
