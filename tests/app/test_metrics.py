"""What `/metrics` counts, and that nothing in it is about anybody."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.access.records import a, places, put
from tests.servers import Served, serving

CANARY = "Kanariefugl"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("metrics") / "data") as server:
        put(server, *places())
        yield server


def scraped(served: Served) -> Samples:
    """Samples by name and labels."""
    answer = served.http.get(served.base.removesuffix("/fhir") + "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.text)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def requests(samples: Samples, route: str, method: str, status: int) -> float:
    labels = (("method", method), ("route", route), ("status", str(status)))
    return samples.get(("fhirmedia_requests_total", labels), 0)


def test_requests_are_counted_by_template(served: Served) -> None:
    before, staff = scraped(served), served.headers()
    for _ in range(3):
        served.http.get(f"{served.base}/Patient/anna", headers=staff)
    served.http.get(f"{served.base}/Patient/{CANARY}", headers=staff)
    served.http.get(f"{served.base}/{CANARY}?name={CANARY}", headers=staff)
    served.http.request("PROPFIND", f"{served.base}/Media", headers=staff)
    served.http.get(f"{served.base}/a/b/c/d/{CANARY}", headers=staff)
    after = scraped(served)

    def grown(route: str, method: str, status: int) -> float:
        return requests(after, route, method, status) - requests(before, route, method, status)

    assert grown("/fhir/{type}/{id}", "GET", 200) == 3
    assert grown("/fhir/{type}/{id}", "GET", 404) == 1
    assert grown("/fhir/{type}", "GET", 404) == 1
    assert grown("/fhir/{type}", "other", 405) == 1
    assert grown("-", "GET", 404) == 1
    timed = ("fhirmedia_request_seconds_count", (("route", "/fhir/{type}/{id}"),))
    assert after[timed] - before.get(timed, 0) == 4


def test_nothing_is_about_anybody(served: Served) -> None:
    put(served, a("Patient", f"{CANARY}-2", name=[{"family": CANARY}]))
    staff = served.headers(user=f"Practitioner/{CANARY}")
    for path in (f"Patient/{CANARY}-2", f"Patient/{CANARY}-2?x={CANARY}"):
        served.http.get(f"{served.base}/{path}", headers=staff)
    page = served.http.get(served.base.removesuffix("/fhir") + "/metrics").text
    assert CANARY.lower() not in page.lower()
    allowed = {"route", "method", "status", "le", "log"}
    assert {name for _, labels in scraped(served) for name, _ in labels} <= allowed


def test_the_disclosure_log_is_shown(served: Served) -> None:
    samples = scraped(served)
    logs = {labels for name, labels in samples if name == "fhirmedia_audit_head"}
    assert logs == {(("log", "disclosures-0"),)}
    (log,) = logs
    assert samples["fhirmedia_audit_attested", log] <= samples["fhirmedia_audit_head", log]


def test_an_index_that_lies_discloses_nothing_and_is_noticed(served: Served) -> None:
    put(served, a("Media", "of-eyes", unit="eyes"))
    derm = served.headers(units=["derm"])
    url = f"{served.base}/Media?_id=of-eyes"
    assert served.http.get(url, headers=derm).json()["total"] == 0
    with closing(sqlite3.connect(served.folder / "records.db")) as database, database:
        database.execute("UPDATE res_row SET unit = 'derm' WHERE id = 'of-eyes'")
    before = scraped(served)["fhirmedia_index_mismatch_total", ()]
    assert "entry" not in served.http.get(url, headers=derm).json()
    assert scraped(served)["fhirmedia_index_mismatch_total", ()] == before + 1
