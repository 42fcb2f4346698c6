"""$access-log: the Patient and auditors see who looked, in plain words; nobody else sees anything."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhirmedia.core.settings import Settings
from tests.access.records import a, places, put
from tests.fhir.rest import refusal
from tests.servers import Served, serving


def looked_at(server: Served) -> None:
    """Anna's and Bo's pictures, and who opened which."""
    put(server, *places(), a("Media", "of-anna"), a("Media", "of-bo", of="bo"))
    physician = server.headers("user/*.rs", user="Practitioner/dr", roles=["label-manager"])
    for path in ("Media/of-anna", "Media/of-bo", "Media?patient=anna"):
        assert server.http.get(f"{server.base}/{path}", headers=physician).status_code == 200
    hidden = server.headers("user/*.rs", units=["eyes"], user="Practitioner/dr")
    assert server.http.get(f"{server.base}/Media/of-anna", headers=hidden).status_code == 404


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("log") / "data") as server:
        looked_at(server)
        yield server


def anna(served: Served) -> dict[str, str]:
    return served.headers("patient/*.rs", patient="anna")


def auditor(served: Served) -> dict[str, str]:
    return served.headers("user/AuditEvent.rs", roles=["auditor"])


def log(served: Served, headers: dict[str, str], query: str = "", patient: str = "anna") -> list[dict[str, Any]]:
    """The entries, with their parts by name; items as pairs."""
    answer = served.http.get(f"{served.base}/Patient/{patient}/$access-log{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    entries = []
    for parameter in answer.json()["parameter"]:
        if parameter["name"] != "entry":
            entries.append(parameter)
            continue
        entry: dict[str, Any] = {"items": []}
        for part in parameter["part"]:
            if part["name"] == "item":
                what, depth = part["part"]
                entry["items"].append((what["valueReference"]["reference"], depth["valueCode"]))
            else:
                entry[part["name"]] = next(value for name, value in part.items() if name.startswith("value"))
        entries.append(entry)
    return entries


def test_the_patient_sees_who_looked(served: Served) -> None:
    entries = log(served, anna(served))
    read = next(each for each in entries if each.get("action") == "read" and each["outcome"] == "0")
    assert read["items"] == [("Media/of-anna", "opened")]
    assert read["role"] == "label-manager"
    assert read["text"] == "Staff opened one item of the record."
    assert "who" not in read
    searched = next(each for each in entries if each.get("action") == "search-type")
    assert ("Media/of-anna", "listed") in searched["items"]
    assert not any("of-bo" in str(each) or "Practitioner" in str(each) for each in entries)


def test_it_is_told_in_the_language_asked_for(served: Served) -> None:
    for language, sentence in (("sv-SE,sv;q=0.9", "Personal öppnade en del av journalen."), ("no", "Personell åpnet")):
        texts = [each.get("text", "") for each in log(served, anna(served) | {"Accept-Language": language})]
        assert any(text.startswith(sentence) for text in texts)


def test_auditors_see_every_log(served: Served) -> None:
    assert any(
        ("Media/of-bo", "opened") in each.get("items", ()) for each in log(served, auditor(served), patient="bo")
    )


def test_nobody_else_sees_any(served: Served) -> None:
    for headers in (
        served.headers("patient/*.rs", patient="bo"),
        served.headers("user/*.rs"),
        served.headers("patient/Media.rs", patient="anna"),
        served.headers("system/*.cruds"),
    ):
        answers = [
            served.http.get(f"{served.base}/Patient/{patient}/$access-log", headers=headers)
            for patient in ("anna", "nobody")
        ]
        assert [refusal(each, 404)["code"] for each in answers] == ["not-found"] * 2
        assert answers[0].text == answers[1].text


def test_reading_the_log_is_in_the_log(served: Served) -> None:
    log(served, anna(served))
    assert "access-log" in {each.get("action") for each in log(served, auditor(served))}


def test_pages_follow_each_other(served: Served) -> None:
    headers, whole = auditor(served), []
    url = f"{served.base}/Patient/bo/$access-log?_count=2&date=le2100"
    for _ in range(50):
        answer = served.http.get(url, headers=headers).json()["parameter"]
        whole += [each for each in answer if each["name"] == "entry"]
        following = [each["valueUri"] for each in answer if each["name"] == "next"]
        if not following:
            break
        (url,) = following
    assert len(whole) >= 3
    whens = [each["part"][0]["valueInstant"] for each in whole]
    assert whens == sorted(whens, reverse=True)
    foreign = served.http.get(url, headers=anna(served))
    assert foreign.status_code in (400, 403)


@pytest.mark.parametrize("query", ["?nonsense=1", "?date=yesterday", "?_count=x", "?_count=1&_count=2", "?_cursor=x"])
def test_what_it_does_not_take_is_refused(served: Served, query: str) -> None:
    refusal(served.http.get(f"{served.base}/Patient/anna/$access-log{query}", headers=anna(served)), 400)


@pytest.mark.parametrize(("staff", "told"), [("none", set()), ("name", {"role", "who"})])
def test_what_it_tells_of_staff_is_a_setting(tmp_path: Path, staff: Any, told: set[str]) -> None:
    with serving(tmp_path / "data", Settings(environment="test", access_log_staff=staff)) as server:
        looked_at(server)
        read = next(
            each for each in log(server, anna(server)) if each.get("action") == "read" and each["outcome"] == "0"
        )
        assert {"role", "who"} & read.keys() == told
        if told:
            assert read["who"] == {"reference": "Practitioner/dr"}
