"""$everything of a Patient: what belongs to it and what that refers to, for those who may see it, page by page."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.access.records import a, places, put
from tests.access.worlds import MINUTE, MORNING, Hands
from tests.audit.rows import by_request
from tests.fhir.rest import Body, link, refusal
from tests.servers import Served, served_process, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Anna with records of several kinds, in two departments; Bo with one."""
    hands = Hands()
    with serving(tmp_path_factory.mktemp("everything") / "data", clock=hands) as server:
        put(server, *places())
        doctor = {"reference": "Practitioner/dr"}
        put(
            server,
            a("Practitioner", "unnamed"),
            a("Media", "early", createdDateTime="2020-02-01", operator=doctor),
            a("Media", "late", createdDateTime="2024-02-01"),
            a("Media", "elsewhere", unit="eyes", createdDateTime="2024-03-01"),
            a("Observation", "o", effectiveDateTime="2022-05-05", performer=[doctor]),
            a("Encounter", "e"),
            a("Media", "bos", of="bo"),
            a("Media", "gone"),
        )
        server.http.delete(f"{server.base}/Media/gone", headers=server.importer())
        hands.now = MORNING + 60 * MINUTE
        put(server, a("Encounter", "e", priority={"text": "changed"}))
        yield server


def get(served: Served, query: str = "", headers: dict[str, str] | None = None, patient: str = "anna") -> Body:
    url = f"{served.base}/Patient/{patient}/$everything{query}"
    response = served.http.get(url, headers=headers or served.headers())
    assert response.status_code == 200, response.text
    body: Body = response.json()
    return body


def told(bundle: Body, mode: str = "match") -> list[str]:
    return [
        f"{each['resource']['resourceType']}/{each['resource']['id']}"
        for each in bundle.get("entry", ())
        if each["search"]["mode"] == mode
    ]


ALL = ["Encounter/e", "Media/early", "Media/elsewhere", "Media/late", "Observation/o", "Patient/anna"]


def test_the_patient_its_compartment_and_what_they_refer_to(served: Served) -> None:
    bundle = get(served)
    assert (bundle["resourceType"], bundle["type"], bundle["total"]) == ("Bundle", "searchset", len(ALL))
    assert sorted(told(bundle)) == ALL
    assert sorted(told(bundle, "include")) == ["Organization/derm", "Organization/eyes", "Practitioner/dr"]
    assert {each["fullUrl"] for each in bundle["entry"]} == {
        f"{served.base}/{name}" for name in (*told(bundle), *told(bundle, "include"))
    }
    assert link(bundle, "self") == f"{served.base}/Patient/anna/$everything"
    assert link(bundle, "next") is None


def test_pages_hold_everything_once(served: Served) -> None:
    for count in (1, 2, 4):
        walked, following = [], f"{served.base}/Patient/anna/$everything?_count={count}"
        while following is not None:
            page = served.http.get(following, headers=served.headers()).json()
            assert page["total"] == len(ALL)
            assert len(told(page)) <= count
            walked += told(page)
            following = link(page, "next")
        assert sorted(walked) == ALL


def test_by_type_and_by_time(served: Served) -> None:
    assert sorted(told(get(served, "?_type=Media,Patient"))) == [
        "Media/early", "Media/elsewhere", "Media/late", "Patient/anna",
    ]  # fmt: skip
    assert sorted(told(get(served, "?start=2022"))) == [each for each in ALL if each != "Media/early"]
    assert sorted(told(get(served, "?end=2021-12-31"))) == ["Encounter/e", "Media/early", "Patient/anna"]
    assert sorted(told(get(served, "?start=2021-01-01&end=2023-01-01"))) == [
        "Encounter/e", "Observation/o", "Patient/anna",
    ]  # fmt: skip
    recent = f"?_since={json.loads(json.dumps('2026-03-04T05:30:00Z'))}"
    assert told(get(served, recent)) == ["Encounter/e"]
    assert get(served, recent)["total"] == 1


def test_parameters_may_be_posted(served: Served) -> None:
    url = f"{served.base}/Patient/anna/$everything"
    stated = [{"name": "_type", "valueCode": "Media"}, {"name": "_count", "valueInteger": 2}]
    posted = served.http.post(url, json={"resourceType": "Parameters", "parameter": stated}, headers=served.headers())
    assert posted.status_code == 200
    assert len(told(posted.json())) == 2
    following = link(posted.json(), "next")
    assert following is not None
    assert len(told(served.http.get(following, headers=served.headers()).json())) == 1
    bare = {name: value for name, value in served.headers().items() if name != "Content-Type"}
    assert sorted(told(served.http.post(url, headers=bare).json())) == ALL
    for wrong in (
        {"resourceType": "Patient"},
        {"resourceType": "Parameters", "parameter": [{"name": "_count"}]},
        {"resourceType": "Parameters", "parameter": [{"name": "_count", "valueInteger": 1, "valueCode": "1"}]},
        {"resourceType": "Parameters", "parameter": [{"name": "_count", "valueBoolean": True}]},
        {"resourceType": "Parameters", "parameter": ["_count"]},
        {"resourceType": "Parameters", "parameter": [{"name": "other", "valueCode": "x"}]},
    ):
        refusal(served.http.post(url, json=wrong, headers=served.headers()), 400)


def test_what_cannot_be_asked(served: Served) -> None:
    staff = served.headers()
    url = f"{served.base}/Patient/anna/$everything"
    for query in ("_count=0", "_count=x", "start=x", "end=ge2020", "_since=x", "_type=Nothing", "_type=Organization"):
        refusal(served.http.get(f"{url}?{query}", headers=staff), 400)
    for query in ("colour=red", "_sort=date", "start=2020&start=2021", "_cursor=x", "_cursor=x&_count=2"):
        refusal(served.http.get(f"{url}?{query}", headers=staff), 400)
    refusal(served.http.get(f"{served.base}/Patient/nobody/$everything", headers=staff), 404)
    refusal(served.http.get(f"{served.base}/Media/early/$everything", headers=staff), 405)
    refusal(served.http.get(f"{url}?_type=Media", headers=served.headers("user/Patient.rs")), 403)
    refusal(served.http.get(url, headers=served.headers("user/Media.rs")), 403)
    following = link(get(served, "?_count=1"), "next")
    assert following is not None
    refusal(served.http.get(following.replace("anna", "bo"), headers=staff), 400)
    refusal(served.http.get(following, headers=served.headers("user/*.rs")), 403)


def test_each_sees_and_counts_its_own(served: Served) -> None:
    derm = get(served, "", served.headers("user/*.rs", units=["derm"]))
    assert sorted(told(derm)) == [each for each in ALL if each != "Media/elsewhere"]
    assert derm["total"] == len(ALL) - 1
    assert "Organization/eyes" not in told(derm, "include")
    anna = served.headers("patient/*.rs", patient="anna")
    assert sorted(told(get(served, "", anna))) == ALL
    refusal(served.http.get(f"{served.base}/Patient/bo/$everything", headers=anna), 404)
    some = get(served, "", served.headers("user/Patient.rs user/Media.rs"))
    assert sorted(told(some)) == ["Media/early", "Media/elsewhere", "Media/late", "Patient/anna"]
    assert told(some, "include") == []


def test_in_xml(served: Served) -> None:
    answer = served.http.get(f"{served.base}/Patient/anna/$everything?_format=xml", headers=served.headers())
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/fhir+xml")
    assert answer.text.count("<fullUrl ") == len(ALL) + 3


MANY, BODY = 5_000, "x" * 2_000
GROWTH_MIB = 32


def test_many_are_streamed_and_each_run_is_audited_first(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with serving(tmp_path / "data") as server:
        put(server, *places())
        with httpx.Client(timeout=30) as http:
            headers = server.importer()
            for first in range(0, MANY, 250):
                entry = [
                    {
                        "resource": a("Media", f"m{number}", note=[{"text": BODY}]),
                        "request": {"method": "PUT", "url": f"Media/m{number}"},
                    }
                    for number in range(first, first + 250)
                ]
                bundle = {"resourceType": "Bundle", "type": "batch", "entry": entry}
                assert http.post(server.base, json=bundle, headers=headers).status_code == 200
    with served_process(tmp_path / "data") as (server, pid):
        headers = server.headers() | {"X-Request-Id": "first"}
        url = f"{server.base}/Patient/anna/$everything?_count="
        assert server.http.get(url + "100", headers=headers).status_code == 200
        before, size = peak_mib(pid), 0
        with server.http.stream("GET", url + "5001", headers=headers | {"X-Request-Id": "all"}) as answer:
            parts = answer.iter_bytes()
            begun = next(parts)
            early = sum(len(row.touched) for row in by_request(tmp_path / "data")["all"])
            content = begun + b"".join(parts)
        size = len(content)
        grown = peak_mib(pid) - before
        record_property("MiB of growth", grown)
        record_property("MiB sent", size // 2**20)
        bundle = json.loads(content)
        assert len(told(bundle)) == MANY + 1
        rows = by_request(tmp_path / "data")["all"]
        assert len(rows) == 51
        assert sum(len(row.touched) for row in rows) >= MANY + 1
        assert early < MANY
        assert begun.count(b'"fullUrl"') <= early
        assert grown <= GROWTH_MIB


def peak_mib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024
