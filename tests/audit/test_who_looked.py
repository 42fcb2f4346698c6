"""AuditEvent over HTTP: by whom, of whom, on what, how and when; each row of the table leaves events out, too."""

from collections.abc import Iterator
from typing import Any

import pytest

from fhirmedia.issuer.minting import DEMO_ISSUER
from tests.access.records import a, places, put
from tests.access.worlds import MINUTE, MORNING, Hands
from tests.fhir.rest import refusal
from tests.servers import Served, serving

ACTS = (
    ("read", "dr", "GET", "/Media/of-anna"),
    ("other", "dr", "GET", "/Media/of-bo"),
    ("search", "dr", "GET", "/Media?patient=anna"),
    ("hidden", "nurse", "GET", "/Media/of-anna"),
    ("absent", "dr", "GET", "/Media/never"),
    ("own", "anna", "GET", "/Media/of-anna"),
    ("history", "dr", "GET", "/Media/of-anna/_history"),
    ("everything", "dr", "GET", "/Patient/anna/$everything"),
    ("system", "dr", "GET", "/?_type=Media&patient=bo"),
    ("ended", "importer", "DELETE", "/Media/ended"),
)
"""Each under its name as request id; the world is written under others."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    hands = Hands()
    with serving(tmp_path_factory.mktemp("looked") / "data", clock=hands) as server:
        put(server, *places(), a("Media", "of-anna"), a("Media", "of-bo", of="bo"), a("Media", "ended", of="bo"))
        people = {
            "dr": server.headers("user/*.rs", user="Practitioner/dr"),
            "nurse": server.headers("user/*.rs", user="Practitioner/nurse", units=["eyes"]),
            "anna": server.headers("patient/*.rs", user="Patient/anna", patient="anna"),
            "importer": server.importer(),
        }
        for number, (name, who, method, path) in enumerate(ACTS):
            hands.now = MORNING + number * MINUTE + (60 * MINUTE if number >= len(ACTS) - 3 else 0)
            server.http.request(method, server.base + path, headers=people[who] | {"X-Request-Id": name})
        yield server


def acts(served: Served, query: str) -> set[str]:
    """The acts that a search for AuditEvents finds."""
    auditor = served.headers("user/AuditEvent.rs", roles=["auditor"])
    answer = served.http.get(f"{served.base}/AuditEvent?{query}&_count=1000", headers=auditor)
    assert answer.status_code == 200, answer.text
    return {_act(entry["resource"]) for entry in answer.json().get("entry", ())} & {name for name, *_ in ACTS}


def _act(event: dict[str, Any]) -> str:
    (asked,) = (each for each in event["entity"] if each["type"]["code"] == "XrequestId")
    value: str = asked["what"]["identifier"]["value"]
    return value


ALL = {name for name, *_ in ACTS}
BY_DR = {name for name, who, *_ in ACTS if who == "dr"}
OF_ANNA = {"read", "search", "hidden", "own", "history", "everything"}
TABLE: dict[str, set[str]] = {
    "patient=anna": OF_ANNA,
    "patient=Patient/anna": OF_ANNA,
    "patient=bo": {"other", "system", "ended"},
    "patient=nobody": set(),
    "patient=anna,bo": ALL - {"absent"},
    "agent=Practitioner/dr": BY_DR,
    "agent=Practitioner/nurse": {"hidden"},
    "agent=Patient/anna": {"own"},
    "agent=Practitioner/nobody": set(),
    f"agent:identifier={DEMO_ISSUER}|": ALL,
    "agent:identifier=http://elsewhere|": set(),
    "agent:identifier=nobody": set(),
    "entity=Media/of-anna": {"read", "search", "hidden", "own", "history", "everything"},
    "entity=Media/of-anna/_history/1": {"read", "search", "own", "history", "everything"},
    "entity=Media/of-anna/_history/7": set(),
    "entity=Media/of-bo": {"other", "system"},
    "entity=Media/never": {"absent"},
    "entity=Media/nowhere": set(),
    "entity=Patient/bo": {"other", "system", "ended"},
    "type=rest": ALL,
    "type=http://terminology.hl7.org/CodeSystem/audit-event-type|rest": ALL,
    "type=http://elsewhere|rest": set(),
    "type=110114": set(),
    "type:not=rest": set(),
    "subtype=read": {"read", "other", "hidden", "absent", "own", "history"},
    "subtype=history-instance": {"history"},
    "subtype=search-type": {"search"},
    "subtype=search-system": {"system"},
    "subtype=delete": {"ended"},
    "subtype=operation": {"everything"},
    "subtype=everything": {"everything"},
    "subtype=http://hl7.org/fhir/restful-interaction|everything": set(),
    "subtype=http://hl7.org/fhir/restful-interaction|delete": {"ended"},
    "subtype=vread": set(),
    "subtype:not=read": {"search", "everything", "system", "ended"},
    "outcome=0": ALL - {"hidden", "absent"},
    "outcome=4": {"hidden", "absent"},
    "outcome=http://hl7.org/fhir/audit-event-outcome|4": {"hidden", "absent"},
    "outcome=8": set(),
    "outcome:not=0": {"hidden", "absent"},
    "date=gt2026-03-04T05:30:00Z": {"everything", "system", "ended"},
    "date=lt2026-03-04T05:30:00Z": ALL - {"everything", "system", "ended"},
    "date=2026-03-04": ALL,
    "date=2026-03-05": set(),
    "agent=Practitioner/dr&outcome=4": {"absent"},
    "patient=anna&agent=Practitioner/dr&subtype=search-type": {"search"},
    "entity=Media/of-anna&agent=Patient/anna": {"own"},
    "entity=Media/of-bo&patient=anna": set(),
}  # fmt: skip


@pytest.mark.parametrize("query", list(TABLE))
def test_who_looked_at_what(served: Served, query: str) -> None:
    assert acts(served, query) == TABLE[query]


def test_every_parameter_finds_some_and_leaves_some_out() -> None:
    for parameter in ("patient", "agent", "entity", "type", "subtype", "outcome", "date"):
        found = [TABLE[query] for query in TABLE if query.partition("=")[0].partition(":")[0] == parameter]
        assert any(found), parameter
        assert any(each != ALL for each in found), parameter


@pytest.mark.parametrize(
    "query",
    ["action=R", "source=x", "policy=x", "entity:identifier=x", "agent:missing=true", "_text=x", "agent.name=x",
     "_has:Media:subject:status=x", "_sort=outcome", "type:text=rest", "outcome=|", "agent=", "date=yesterday"],
)  # fmt: skip
def test_what_it_is_not_searched_by_is_refused(served: Served, query: str) -> None:
    auditor = served.headers("user/AuditEvent.rs", roles=["auditor"])
    answer = served.http.get(f"{served.base}/AuditEvent?{query}", headers=auditor)
    assert answer.status_code in (400, 501), (query, answer.text)
    refusal(answer, answer.status_code)


@pytest.mark.parametrize(
    ("scope", "bound"),
    [
        ("user/*.rs", {}),
        ("user/Media.rs", {"roles": ["auditor"]}),
        ("user/AuditEvent.r", {"roles": ["auditor"]}),
        ("user/AuditEvent.s", {"roles": ["auditor"]}),
        ("system/*.cruds", {"roles": ["operator", "importer", "label-manager"]}),
    ],
)
def test_only_an_auditor_may_ask(served: Served, scope: str, bound: dict[str, Any]) -> None:
    answer = served.http.get(f"{served.base}/AuditEvent?patient=anna", headers=served.headers(scope, **bound))
    assert refusal(answer, 403)["code"] == "forbidden"
