"""FHIR R4, http and search: searches, histories and their pages."""

from urllib.parse import urlsplit

from tests.fhir.rest import link
from tests.fhir.standard.rows import Desk, Table, marked

T = Table("http")
S = Table("search")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@T.shall(
    "search", "What can be searched by GET can be searched by POST, with parameters in the body, the address or both."
)
def _(desk: Desk) -> None:
    made = desk.make(identifier=marked("sp-1"))
    for path, form in (
        ("/Media/_search", {"identifier": "urn:marks|sp-1"}),
        ("/Media/_search?identifier=urn:marks|sp-1", {}),
        ("/Media/_search?status=completed", {"identifier": "urn:marks|sp-1"}),
        ("/_search", {"_type": "Media", "_id": made["id"]}),
        ("/Patient/anna/Media/_search", {"identifier": "urn:marks|sp-1"}),
    ):
        found = desk.ask("POST", path, 200, data=form, headers=FORM).json()
        assert [each["resource"]["id"] for each in found["entry"]] == [made["id"]], path


@T.shall("search", "A search that succeeds is 200 and a Bundle of type searchset.")
def _(desk: Desk) -> None:
    for path in ("/Media", "/Media?_id=none", "/?_type=Media,Patient", "/Patient/anna/*"):
        found = desk.get(path).json()
        assert (found["resourceType"], found["type"]) == ("Bundle", "searchset")


@T.shall("search", "What is said about a search stands in an entry marked outcome, and is no error.")
def _(desk: Desk) -> None:
    found = desk.get("/Media?colour=red&_count=1", 200, Prefer="handling=lenient").json()
    told = [each for each in found["entry"] if each["resource"]["resourceType"] == "OperationOutcome"]
    assert told
    for each in told:
        assert each["search"]["mode"] == "outcome"
        assert {issue["severity"] for issue in each["resource"]["issue"]} <= {"warning", "information"}


@T.shall("search", "A search that cannot be carried out is a 4xx or 5xx with an OperationOutcome.")
def _(desk: Desk) -> None:
    for path in ("/Media?colour=red", "/Media?created=yesterday", "/Media?_count=-1", "/Media?_sort=colour"):
        desk.refused(desk.get(path, 400))


@T.should("vsearch", "A parameter that one of the listed types lacks is refused with 400.")
def _(desk: Desk) -> None:
    desk.refused(desk.get("/?_type=Media,Patient&subject=Patient/anna", 400))
    desk.refused(desk.get("/?gender=male", 400))


@S.shall("processing", "A server that ignores a parameter says so: self holds what was used.")
def _(desk: Desk) -> None:
    found = desk.get("/Media?status=completed&colour=red&_count=2", 200, Prefer="handling=lenient").json()
    own = link(found, "self") or ""
    assert "status=completed" in own
    assert "colour" not in own


@S.should("errors", "Strict handling refuses what is unknown; lenient handling is honoured when asked for.")
def _(desk: Desk) -> None:
    desk.get("/Media?colour=red", 400, Prefer="handling=strict")
    desk.get("/Media?colour=red", 400)
    desk.get("/Media?colour=red", 200, Prefer="handling=lenient")


@S.shall("summary", "A summarised resource is marked as a part.")
def _(desk: Desk) -> None:
    desk.make(identifier=marked("sum-1"))
    (found,) = desk.get("/Media?identifier=urn:marks|sum-1&_summary=true").json()["entry"]
    assert "SUBSETTED" in [tag["code"] for tag in found["resource"]["meta"]["tag"]]


@S.shall("count", "A page has no more matches than were asked for; none asked for is a total alone.")
def _(desk: Desk) -> None:
    for _number in range(3):
        desk.make(identifier=marked("count"))
    assert len(desk.get("/Media?identifier=urn:marks|count&_count=2").json()["entry"]) == 2
    nothing = desk.get("/Media?identifier=urn:marks|count&_count=0").json()
    assert nothing["total"] == 3
    assert "entry" not in nothing


@S.shall("total", "A total is of matches, not of what went along.")
def _(desk: Desk) -> None:
    desk.make(identifier=marked("along"))
    found = desk.get("/Media?identifier=urn:marks|along&_include=Media:subject").json()
    assert found["total"] == 1
    assert [each["search"]["mode"] for each in found["entry"]] == ["match", "include"]


@T.should("paging", "Results come in pages.")
def _(desk: Desk) -> None:
    for _number in range(3):
        desk.make(identifier=marked("paging"))
    first = desk.get("/Media?identifier=urn:marks|paging&_count=2").json()
    assert link(first, "next")


@T.shall("paging", "The next page is where the link says; pages together hold each match once.")
def _(desk: Desk) -> None:
    made = [desk.make(identifier=marked("pages"))["id"] for _number in range(5)]
    url, seen = f"{desk.served.base}/Media?identifier=urn:marks|pages&_count=2", []
    while url:
        page = desk.served.http.get(url, headers=desk.headers).json()
        seen += [each["resource"]["id"] for each in page["entry"]]
        url = link(page, "next") or ""
    assert sorted(seen) == sorted(made)
    assert len(seen) == 5


@T.shall("paging", "Every page has its own address as self.")
def _(desk: Desk) -> None:
    first = desk.get("/Media?_count=1&status=completed").json()
    second = desk.served.http.get(link(first, "next") or "", headers=desk.headers).json()
    for page in (first, second):
        assert (link(page, "self") or "").startswith(f"{desk.served.base}/Media?")
        assert desk.served.http.get(link(page, "self") or "", headers=desk.headers).status_code == 200


@T.should("paging", "Further pages can be asked for by POST.")
def _(desk: Desk) -> None:
    for _number in range(2):
        desk.make(identifier=marked("post-pages"))
    first = desk.get("/Media?identifier=urn:marks|post-pages&_count=1").json()
    query = urlsplit(link(first, "next") or "").query
    again = desk.ask("POST", "/Media/_search", 200, content=query.encode(), headers=FORM).json()
    assert again["entry"][0]["resource"]["id"] != first["entry"][0]["resource"]["id"]


@T.shall("history", "Every entry of a history has a resource or tells the request that made it.")
def _(desk: Desk) -> None:
    made = desk.make()
    desk.put(made)
    desk.ask("DELETE", f"/Media/{made['id']}", 204)
    for path in (f"/Media/{made['id']}/_history", "/Media/_history", "/_history"):
        bundle = desk.get(path).json()
        assert bundle["type"] == "history"
        assert all("resource" in each or each["request"]["method"] for each in bundle["entry"])


@T.shall("history", "An entry made by POST or PUT holds the resource; one made by DELETE holds none.")
def _(desk: Desk) -> None:
    made = desk.make()
    desk.put(made)
    desk.ask("DELETE", f"/Media/{made['id']}", 204)
    entries = desk.get(f"/Media/{made['id']}/_history").json()["entry"]
    assert [(each["request"]["method"], "resource" in each) for each in entries] == [
        ("DELETE", False),
        ("PUT", True),
        ("POST", True),
    ]
    assert entries[-1]["request"]["url"] == "Media"
    assert entries[0]["request"]["url"] == f"Media/{made['id']}"


@T.should("history", "Every entry tells when it was processed.")
def _(desk: Desk) -> None:
    made = desk.make()
    desk.put(made)
    times = [each["response"]["lastModified"] for each in desk.get(f"/Media/{made['id']}/_history").json()["entry"]]
    assert times == sorted(times, reverse=True)


@T.shall("history", "A parameter of a history appears once.")
def _(desk: Desk) -> None:
    for name, value in (("_count", "1"), ("_since", "2020-01-01T00:00:00Z"), ("_at", "2020")):
        desk.refused(desk.get(f"/Media/_history?{name}={value}&{name}={value}", 400))


T.shown(
    "history",
    "SHOULD",
    "_since includes the instant it names.",
    "tests/fhir/test_rest_history_changes.py::test_since_is_inclusive",
)
T.shown(
    "history",
    "SHOULD",
    "_at gives what was current then.",
    "tests/fhir/test_rest_history_changes.py::test_at_a_moment_is_what_was_current_then",
    "tests/fhir/test_rest_history_changes.py::test_at_a_period_is_what_was_current_during_it",
)
T.apart(
    "history",
    "SHOULD",
    "_list restricts a history to what a List names.",
    reason="Refused by name with 400; nobody has asked for it, and a client can read the List.",
)


@T.shall("history", "Pages of a history have the size asked for, on every page, and lead on by links.")
def _(desk: Desk) -> None:
    made = desk.make()
    for _number in range(4):
        desk.put(made)
    url, sizes = f"{desk.served.base}/Media/{made['id']}/_history?_count=2", []
    while url:
        page = desk.served.http.get(url, headers=desk.headers).json()
        sizes.append(len(page["entry"]))
        url = link(page, "next") or ""
    assert sizes == [2, 2, 1]


TABLES = (T, S)
