"""What `/metadata` states is what the server does, line by line; and what it does not state is refused."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from fhirmedia.r4.elements import resource_types
from fhirmedia.r4.registry import load_registry
from tests.access.records import TEXT, a, put, put_bytes
from tests.fhir.rest import Body, refusal
from tests.servers import Served

TYPES = tuple(load_registry().types)
LINES = [(name, code) for name, each in load_registry().types.items() for code in sorted(each.interactions)]
PARAMETERS = [(type, code) for type, served in load_registry().types.items() for code in served.parameters]
INTERACTIONS = (
    "read",
    "vread",
    "update",
    "patch",
    "delete",
    "history-instance",
    "history-type",
    "create",
    "search-type",
)
"""R4's type-restful-interaction."""

VALUES = {"token": "x", "date": "ge2020", "reference": "Patient/anna", "string": "x"}
READ_ONLY = tuple(name for name, each in load_registry().types.items() if each.read_only)


@pytest.fixture(scope="module")
def stated(served: Served) -> Body:
    """The statement of the running server."""
    answer = served.http.get(f"{served.base}/metadata")
    assert answer.status_code == 200
    statement: Body = answer.json()
    return statement


@pytest.fixture(scope="module")
def everything(served: Served) -> str:
    """One resource of each type under the id `one`; the id of an AuditEvent."""
    put(served, *(a(type, "one") for type in TYPES if type not in ("Binary", *READ_ONLY)))
    put_bytes(served, "one", b"text", served.importer())
    served.http.get(f"{served.base}/Patient/anna", headers=served.headers())
    found = served.http.get(f"{served.base}/AuditEvent?patient=anna&_count=1", headers=_reader(served)).json()
    event: str = found["entry"][0]["resource"]["id"]
    return event


def _reader(served: Served) -> dict[str, str]:
    return served.headers("user/*.cruds", roles=["auditor", "importer"])


def _perform(served: Served, type: str, interaction: str, *, event: str) -> httpx.Response:
    id = event if type in READ_ONLY else "one"
    url = f"{served.base}/{type}"
    one, headers, ask = f"{url}/{id}", _reader(served), served.http.request
    resource = _resource(type, id)
    requests: dict[str, Callable[[], httpx.Response]] = {
        "read": lambda: ask("GET", one, headers=headers),
        "vread": lambda: ask("GET", f"{one}/_history/1", headers=headers),
        "update": lambda: ask("PUT", one, json=resource, headers=headers),
        "patch": lambda: ask("PATCH", one, json=[], headers=headers | {"Content-Type": "application/json-patch+json"}),
        "delete": lambda: ask("DELETE", one, headers=headers),
        "history-instance": lambda: ask("GET", f"{one}/_history", headers=headers),
        "history-type": lambda: ask("GET", f"{url}/_history", headers=headers),
        "create": lambda: ask("POST", url, json=resource, headers=headers),
        "search-type": lambda: ask("GET", url, headers=headers),
    }
    return requests[interaction]()


def _resource(type: str, id: str) -> Body:
    if type == "Binary":
        return {"resourceType": type, "id": id, "contentType": TEXT, "data": "dGV4dA=="}
    return {"resourceType": type, "id": id} if type in READ_ONLY else a(type, id)


def test_metadata_speaks_of_this_server(served: Served, stated: Body) -> None:
    assert stated["kind"] == "instance"
    assert stated["fhirVersion"] == "4.0.1"
    assert stated["implementation"]["url"] == served.base
    assert stated["format"] == ["application/fhir+json"]
    (rest,) = stated["rest"]
    assert [each["type"] for each in rest["resource"]] == list(TYPES)
    said = [(each["type"], code["code"]) for each in rest["resource"] for code in each["interaction"]]
    assert sorted(said) == sorted(LINES)


@pytest.mark.parametrize(("type", "interaction"), [line for line in LINES if line[1] != "delete"])
def test_every_interaction_listed_is_served(served: Served, everything: str, type: str, interaction: str) -> None:
    answer = _perform(served, type, interaction, event=everything)
    assert answer.status_code in (200, 201), answer.text
    if interaction == "search-type":
        assert answer.json()["type"] == "searchset"
        listed = served.http.post(f"{served.base}/{type}/_search", headers=_form(served))
        assert listed.json()["type"] == "searchset"


@pytest.mark.parametrize("type", [type for type, interaction in LINES if interaction == "delete"])
def test_every_delete_listed_is_served(served: Served, type: str) -> None:
    if type == "Binary":
        put_bytes(served, "leaves", b"text", _reader(served))
    else:
        put(served, a(type, "leaves"))
    url = f"{served.base}/{type}/leaves"
    assert served.http.delete(url, headers=_reader(served)).status_code == 204
    refusal(served.http.get(url, headers=_reader(served)), 410)


@pytest.mark.parametrize(
    ("type", "interaction"),
    [(type, each) for type in TYPES for each in INTERACTIONS if (type, each) not in LINES],
)
def test_every_interaction_left_out_is_refused(served: Served, everything: str, type: str, interaction: str) -> None:
    answer = _perform(served, type, interaction, event=everything)
    assert answer.status_code in (400, 404, 405), answer.text
    refusal(answer, answer.status_code)


@pytest.mark.parametrize(("type", "code"), PARAMETERS)
def test_every_parameter_listed_searches_and_sorts(served: Served, stated: Body, type: str, code: str) -> None:
    (listed,) = (each for each in stated["rest"][0]["resource"] if each["type"] == type)
    (parameter,) = (each for each in listed["searchParam"] if each["name"] == code)
    value = VALUES[parameter["type"]]
    for given in ({code: value}, {f"{code}:missing": "true"}, {"_sort": f"-{code}"}):
        if type in READ_ONLY and code not in given:
            continue
        answer = served.http.get(f"{served.base}/{type}", params=given, headers=_reader(served))
        assert answer.status_code == 200, answer.text


def test_parameters_left_out_are_refused(served: Served, stated: Body) -> None:
    reader = _reader(served)
    known = {each["name"] for listed in stated["rest"][0]["resource"] for each in listed.get("searchParam", ())}
    for listed in stated["rest"][0]["resource"]:
        own = {each["name"] for each in listed.get("searchParam", ())}
        if not any(each["code"] == "search-type" for each in listed["interaction"]):
            continue
        for code in (known - own) | {"nonsense", "_text", "_content", "_filter", "_has:Media:subject:status"}:
            answer = served.http.get(f"{served.base}/{listed['type']}", params={code: "x"}, headers=reader)
            refusal(answer, 400)


def test_what_is_said_about_conditions_holds(served: Served, stated: Body) -> None:
    for listed in stated["rest"][0]["resource"]:
        url, headers, resource = f"{served.base}/{listed['type']}", _reader(served), _resource(listed["type"], "x")
        assert not listed["conditionalCreate"]
        assert not listed["conditionalUpdate"]
        assert listed["conditionalDelete"] == "not-supported"
        for answer in (
            served.http.post(url, json=resource, headers=headers | {"If-None-Exist": "_id=x"}),
            served.http.put(f"{url}?_id=x", json=resource, headers=headers),
            served.http.delete(f"{url}?_id=x", headers=headers),
        ):
            assert answer.status_code in (400, 405)


def test_types_left_out_are_not_there(served: Served) -> None:
    reader = _reader(served)
    for type in resource_types() - set(TYPES):
        answer = served.http.get(f"{served.base}/{type}", headers=reader)
        assert refusal(answer, 404)["code"] == "not-supported"


def test_the_system_is_searched_and_nothing_else(served: Served, stated: Body) -> None:
    assert [each["code"] for each in stated["rest"][0]["interaction"]] == ["search-system"]
    assert served.http.get(f"{served.base}/?_type=Media", headers=_reader(served)).json()["type"] == "searchset"
    bundle = {"resourceType": "Bundle", "type": "transaction"}
    for path in ("", "/"):
        refusal(served.http.post(served.base + path, json=bundle, headers=_reader(served)), 405)
    refusal(served.http.get(f"{served.base}/_history", headers=_reader(served)), 404)


def test_operations_are_not_there(served: Served) -> None:
    for method, path in _operations():
        answer = served.http.request(method, served.base + path, headers=_reader(served))
        assert answer.status_code in (404, 405), (method, path)


def _operations() -> Iterator[tuple[str, str]]:
    for method in ("GET", "POST"):
        for path in ("/$meta", "/Patient/$match", "/Patient/anna/$everything", "/Media/$validate", "/Media/one/$meta"):
            yield method, path


def test_the_compartment_stated_is_served(served: Served, stated: Body) -> None:
    assert stated["rest"][0]["compartment"] == ["http://hl7.org/fhir/CompartmentDefinition/patient"]
    put(served, a("Media", "in-compartment", of="anna", content={"contentType": TEXT, "title": "x"}))
    found = served.http.get(f"{served.base}/Patient/anna/Media", headers=_reader(served)).json()
    assert "in-compartment" in [each["resource"]["id"] for each in found["entry"]]
    for other in ("Encounter/one/Media", "Practitioner/dr/Media", "Device/x/Media", "RelatedPerson/x/*"):
        refusal(served.http.get(f"{served.base}/{other}", headers=_reader(served)), 404)


def _form(served: Served) -> dict[str, str]:
    return _reader(served) | {"Content-Type": "application/x-www-form-urlencoded"}
