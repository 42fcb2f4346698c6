"""What requests ask for in headers, `_format` and `_pretty`: each honoured, refused or ignored as the standards say."""

import gzip
import json
from email.utils import formatdate, parsedate_to_datetime
from functools import partial
from typing import Any

import pytest
from starlette.requests import Request

from fhirmedia.core.errors import Category, Failure
from fhirmedia.r4.registry import load_registry
from fhirmedia.web.errors import failure_response
from fhirmedia.web.headers import accepted
from fhirmedia.web.negotiation import binary_format, list_parts, settle_for_failure
from tests.access.records import a, put
from tests.fhir.rest import Body, created, refusal
from tests.quick import quickly
from tests.servers import FHIR_JSON, Served

URL = "/Media/headed"


@pytest.fixture(scope="module")
def headed(served: Served) -> Body:
    """One Media at the URL, long enough to be worth compressing."""
    put(served, a("Media", "headed", note=[{"text": f"observation {number} of the series"} for number in range(60)]))
    answer: Body = served.http.get(served.base + URL, headers=served.headers()).json()
    return answer


@pytest.mark.usefixtures("headed")
class TestValidators:
    """ETag, Last-Modified and the conditions on them."""

    def test_every_read_can_be_revalidated(self, served: Served) -> None:
        answer = served.http.get(served.base + URL, headers=served.headers())
        assert answer.headers["etag"] == 'W/"1"'
        written = answer.json()["meta"]["lastUpdated"][:19]
        assert parsedate_to_datetime(answer.headers["last-modified"]).strftime("%Y-%m-%dT%H:%M:%S") == written

    @pytest.mark.parametrize(
        ("condition", "status"),
        [
            ('W/"1"', 304),
            ('"1"', 304),
            ("1", 304),
            ("*", 304),
            ('W/"7", W/"1"', 304),
            ('W/"2"', 200),
            ('W/"11"', 200),
            ("nonsense", 200),
            ("", 200),
        ],
    )
    def test_if_none_match(self, served: Served, condition: str, status: int) -> None:
        answer = served.http.get(served.base + URL, headers=served.headers() | {"If-None-Match": condition})
        assert answer.status_code == status
        assert answer.headers["etag"] == 'W/"1"'
        assert bool(answer.content) is (status == 200)

    def test_if_modified_since(self, served: Served, headed: Body) -> None:
        modified = served.http.get(served.base + URL, headers=served.headers()).headers["last-modified"]
        before = formatdate(parsedate_to_datetime(modified).timestamp() - 60, usegmt=True)
        later = formatdate(parsedate_to_datetime(modified).timestamp() + 60, usegmt=True)

        def asked(**conditions: str) -> int:
            named = {name.replace("_", "-"): value for name, value in conditions.items()}
            return served.http.get(served.base + URL, headers=served.headers() | named).status_code

        assert asked(if_modified_since=modified) == 304
        assert asked(if_modified_since=later) == 304
        assert asked(if_modified_since=before) == 200
        for malformed in ("yesterday", "", "Sun, 99 Foo 2026 00:00:00 GMT", headed["meta"]["lastUpdated"]):
            assert asked(if_modified_since=malformed) == 200
        assert asked(if_modified_since=later, if_none_match='W/"2"') == 200

    def test_a_condition_never_tells_what_a_read_would_not(self, served: Served) -> None:
        bo = served.headers("patient/*.rs", patient="bo")
        for condition in ({"If-None-Match": "*"}, {"If-None-Match": 'W/"1"'}, {"If-Modified-Since": formatdate()}):
            refusal(served.http.get(served.base + URL, headers=bo | condition), 404)


class TestPrefer:
    """`Prefer: return=…` on writes."""

    @pytest.mark.parametrize("given", [None, "return=representation", "return=presentation", "respond-async", "x; y"])
    def test_the_resource_comes_back_unless_told_otherwise(self, served: Served, given: str | None) -> None:
        headers = served.headers() | ({} if given is None else {"Prefer": given})
        for answer in _written(served, headers):
            assert answer.json()["resourceType"] == "Media"

    @pytest.mark.parametrize("given", ["return=minimal", 'return="minimal"', "respond-async, return=minimal"])
    def test_minimal_is_headers_only(self, served: Served, given: str) -> None:
        for answer in _written(served, served.headers() | {"Prefer": given}):
            assert answer.content == b""
            assert answer.headers["etag"].startswith('W/"')

    def test_an_outcome(self, served: Served) -> None:
        for answer in _written(served, served.headers() | {"Prefer": "return=OperationOutcome"}):
            outcome = answer.json()
            assert outcome["resourceType"] == "OperationOutcome"
            assert [issue["severity"] for issue in outcome["issue"]] == ["information"]


def _written(served: Served, headers: dict[str, str]) -> list[Any]:
    """The answers to a create and an update."""
    made = served.http.post(f"{served.base}/Media", json=a("Media", "-"), headers=headers)
    assert made.status_code == 201
    id = made.headers["location"].split("/")[-3]
    changed = served.http.put(f"{served.base}/Media/{id}", json=a("Media", id), headers=headers)
    assert changed.status_code == 200
    assert "location" in made.headers
    return [made, changed]


@pytest.mark.usefixtures("headed")
class TestFormat:
    """Accept, `_format` (which wins) and `_pretty`."""

    @pytest.mark.parametrize(
        "accept",
        [
            FHIR_JSON,
            "application/json",
            "text/json",
            "*/*",
            "application/*",
            "application/fhir+json; fhirVersion=4.0",
            "APPLICATION/FHIR+JSON;charset=utf-8",
            "application/fhir+json;q=0.9, application/fhir+xml;q=0.1",
            "text/html, */*;q=0.1",
            "application/fhir+json;fhirVersion=5.0, */*;q=0.1",
        ],
    )
    def test_json_is_served_to_whom_it_may_be(self, served: Served, accept: str) -> None:
        answer = served.http.get(served.base + URL, headers=served.headers() | {"Accept": accept})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"

    @pytest.mark.parametrize(
        "accept",
        [
            "application/fhir+turtle",
            "text/html",
            "application/fhir+json;q=0",
            "application/fhir+json;fhirVersion=5.0",
            "application/fhir+json;charset=latin1",
            "application/json;q=nonsense",
            "image/*",
            "x",
        ],
    )
    def test_nothing_else_is(self, served: Served, accept: str) -> None:
        staff = served.headers() | {"Accept": accept}
        for path in (URL, URL + "/_history", URL + "/_history/1", "/Media", "/metadata"):
            refusal(served.http.get(served.base + path, headers=staff), 406)
        before = _count(served)
        refusal(served.http.post(f"{served.base}/Media", json=a("Media", "-"), headers=staff), 406)
        assert _count(served) == before

    @pytest.mark.parametrize("wanted", ["json", FHIR_JSON, "application/fhir%2Bjson", "application/json", "text/json"])
    def test_format_wins_over_accept(self, served: Served, wanted: str) -> None:
        headers = served.headers() | {"Accept": "application/fhir+xml"}
        assert served.http.get(f"{served.base}{URL}?_format={wanted}", headers=headers).status_code == 200
        assert served.http.get(f"{served.base}/Media?_format={wanted}", headers=headers).status_code == 200

    @pytest.mark.parametrize("wanted", ["turtle", "", "jsonx", "json;fhirVersion=5.0"])
    def test_other_formats_are_refused(self, served: Served, wanted: str) -> None:
        headers = served.headers() | {"Accept": FHIR_JSON}
        refusal(served.http.get(f"{served.base}{URL}?_format={wanted}", headers=headers), 406)

    def test_pretty_changes_only_white_space(self, served: Served, headed: Body) -> None:
        plain = served.http.get(served.base + URL, headers=served.headers())
        pretty = served.http.get(f"{served.base}{URL}?_pretty=true", headers=served.headers())
        assert pretty.text.count("\n") > 60
        assert json.loads(pretty.text) == json.loads(plain.text) == headed
        assert list(json.loads(pretty.text)) == list(json.loads(plain.text))
        assert served.http.get(f"{served.base}{URL}?_pretty=false", headers=served.headers()).text == plain.text


def _count(served: Served) -> int:
    total: int = served.http.get(f"{served.base}/Media?_summary=count", headers=served.headers()).json()["total"]
    return total


@pytest.mark.usefixtures("headed")
class TestTransport:
    """HEAD, gzip, request ids, Allow, and parameters where there is nothing to search."""

    @pytest.mark.parametrize(
        "path", [URL, URL + "/_history/1", "/Media?_id=headed", "/metadata", "/Media/absent", "/Media?x=1", "/Nothing"]
    )
    def test_head_is_get_without_a_body(self, served: Served, path: str) -> None:
        changing = {"date", "x-request-id"}
        plain = served.headers() | {"Accept-Encoding": "identity"}
        whole = served.http.get(served.base + path, headers=plain)
        head = served.http.head(served.base + path, headers=plain)
        assert head.status_code == whole.status_code
        assert head.content == b""
        assert {k: v for k, v in head.headers.items() if k not in changing} == {
            k: v for k, v in whole.headers.items() if k not in changing
        }

    @pytest.mark.parametrize(
        ("accepted", "packed"),
        [("gzip", True), ("br, gzip;q=0.5", True), ("identity", False), ("gzip;q=0", False), ("", False)],
    )
    def test_gzip_for_whom_it_may_be(self, served: Served, headed: Body, accepted: str, packed: bool) -> None:
        headers = served.headers() | {"Accept-Encoding": accepted}
        with served.http.stream("GET", served.base + URL, headers=headers) as answer:
            raw = b"".join(answer.iter_raw())
        assert answer.headers.get("content-encoding") == ("gzip" if packed else None)
        assert int(answer.headers["content-length"]) == len(raw)
        assert "Accept-Encoding" in answer.headers["vary"]
        assert json.loads(gzip.decompress(raw) if packed else raw) == headed

    def test_short_answers_are_not_packed(self, served: Served) -> None:
        made = created(served, {"resourceType": "Patient"})
        answer = served.http.get(f"{served.base}/Patient/{made['id']}", headers=served.headers())
        assert "content-encoding" not in answer.headers

    def test_a_request_id_is_echoed_if_it_is_harmless(self, served: Served) -> None:
        def echoed(given: str | None) -> str:
            named = {} if given is None else {"X-Request-Id": given}
            answer: str = served.http.get(served.base + URL, headers=served.headers() | named).headers["x-request-id"]
            return answer

        assert echoed("a.B-9_") == "a.B-9_"
        assert echoed("r" * 64) == "r" * 64
        for odd in ("r" * 65, "with blank", "a/b", "<script>", ""):
            assert echoed(odd) != odd
        assert echoed(None) != echoed(None)

    def test_nothing_is_kept_by_caches_or_guessed_at(self, served: Served) -> None:
        for path in (URL, "/Media", "/metadata", "/Media/absent"):
            headers = served.http.get(served.base + path, headers=served.headers()).headers
            assert headers["cache-control"] == "private, no-store"
            assert headers["x-content-type-options"] == "nosniff"

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("POST", URL, "DELETE, GET, HEAD, PATCH, PUT"),
            ("OPTIONS", URL, "DELETE, GET, HEAD, PATCH, PUT"),
            ("OPTIONS", "/Media", "DELETE, GET, HEAD, PATCH, POST, PUT"),
            ("PUT", "", "GET, HEAD, POST"),
            ("DELETE", "/", "GET, HEAD, POST"),
            ("DELETE", URL + "/_history/1", "GET, HEAD"),
            ("DELETE", "/AuditEvent/x", "GET, HEAD"),
            ("PUT", "/AuditEvent", "GET, HEAD"),
        ],
    )
    def test_a_refused_method_names_the_others(self, served: Served, method: str, path: str, allowed: str) -> None:
        answer = served.http.request(method, served.base + path, headers=served.headers())
        refusal(answer, 405)
        assert answer.headers["allow"] == allowed

    @pytest.mark.parametrize("type", load_registry().types)
    def test_what_is_named_is_what_the_type_takes(self, served: Served, type: str) -> None:
        headers = served.headers(roles=["auditor"])
        for path in (f"{served.base}/{type}", f"{served.base}/{type}/absent"):
            named = served.http.options(path, headers=headers).headers["allow"].split(", ")
            asked = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
            taken = [each for each in asked if served.http.request(each, path, headers=headers).status_code != 405]
            assert named == taken

    @pytest.mark.parametrize(
        "given", ["x=1", "_summary=true", "_elements=id", "_count=1", "patient=anna", "_Format=json"]
    )
    def test_parameters_belong_to_searches(self, served: Served, given: str) -> None:
        staff, url = served.headers(), served.base + URL
        for answer in (
            served.http.get(f"{url}/_history/1?{given}", headers=staff),
            served.http.put(f"{url}?{given}", json=a("Media", "headed"), headers=staff),
            served.http.delete(f"{url}?{given}", headers=staff),
            served.http.post(f"{served.base}/Media?{given}", json=a("Media", "-"), headers=staff),
        ):
            refusal(answer, 400)
        assert served.http.get(url, headers=staff).headers["etag"] == 'W/"1"'

    @pytest.mark.parametrize(
        "given",
        [
            "x=1", "_count=1", "patient=anna", "_Format=json", "_summary=count", "_summary=some", "_summary=",
            "_elements=colour", "_summary=true&_elements=status", "_summary=true&_summary=true",
        ],
    )  # fmt: skip
    def test_a_read_takes_what_chooses_a_part_and_nothing_else(self, served: Served, given: str) -> None:
        refusal(served.http.get(f"{served.base}{URL}?{given}", headers=served.headers()), 400)

    @pytest.mark.parametrize("form", ["application/fhir+json", "application/fhir+xml"])
    def test_a_part_of_a_resource(self, served: Served, form: str) -> None:
        headers = served.headers() | {"Accept": form}
        whole = served.http.get(served.base + URL, headers=headers)
        for given in ("_summary=false", "_pretty=false&_summary=false"):
            assert served.http.get(f"{served.base}{URL}?{given}", headers=headers).content == whole.content
        part = served.http.get(f"{served.base}{URL}?_elements=status", headers=headers)
        assert part.headers["etag"] == whole.headers["etag"]
        assert "SUBSETTED" in part.text
        assert "subject" in whole.text
        assert "subject" not in part.text


class TestLongLists:
    """Headers are read before anybody knows who sent them: only so far."""

    @pytest.mark.parametrize("header", [b"," * 65_000, b"a," * 32_000, b"a;" * 32_000, b"a;q=0.1," * 8_000])
    def test_a_long_accept_costs_nothing(self, header: bytes) -> None:
        scope = {"type": "http", "query_string": b"", "headers": [(b"accept", header)]}
        failed = partial(failure_response, Failure(Category.UNAUTHENTICATED, "Who?"), scope)
        assert quickly(failed).status_code == 401
        quickly(lambda: binary_format(Request(scope)))
        quickly(lambda: accepted(header.decode()))

    def test_many_short_ones_neither(self) -> None:
        scope = {"type": "http", "query_string": b"", "headers": [(b"accept", b",")] * 8_000}
        quickly(lambda: settle_for_failure(scope))

    def test_without_a_token(self, served: Served) -> None:
        refusal(served.http.get(served.base + URL, headers={"Accept": "," * 65_000}), 401)

    def test_what_is_cut_short_is_not_looked_at(self) -> None:
        assert list_parts("a," * 40) == ["a"] * 32
        assert list_parts("a," + "b" * 3000) == ["a"]
        assert list_parts("a,b") == ["a", "b"]

    def test_headers_over_the_limit_are_refused_in_json(self, served: Served) -> None:
        answer = served.http.get(served.base + URL, headers={"Accept": "application/fhir+xml", "X-Long": "a" * 70_000})
        assert answer.headers["content-type"].startswith(FHIR_JSON)
        refusal(answer, 431)
