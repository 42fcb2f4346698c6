"""What `/metadata` states is what the server does, line by line; and what it does not state is refused."""

from collections.abc import Callable
from random import Random

import httpx
import pytest

from fhirmedia.r4.elements import resource_types
from fhirmedia.r4.registry import load_registry
from tests.access.enumeration import flattened
from tests.access.records import TEXT, a, put, put_bytes
from tests.fhir.rest import Body, refusal
from tests.servers import Served

REGISTRY = load_registry()
TYPES = tuple(REGISTRY.types)
LINES = [(name, code) for name, each in REGISTRY.types.items() for code in sorted(each.interactions)]
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

JSON_PATCH = "application/json-patch+json"

VALUES = {
    "token": "x",
    "date": "ge2020",
    "reference": "Patient/anna",
    "string": "x",
    "uri": "urn:x",
    "number": "1",
    "quantity": "1",
    "special": "word",
}
READ_ONLY = tuple(name for name, each in REGISTRY.types.items() if each.read_only)
STORED = tuple(name for name in TYPES if name not in ("Binary", *READ_ONLY))


@pytest.fixture(scope="module")
def stated(served: Served) -> Body:
    """The statement of the running server."""
    answer = served.http.get(f"{served.base}/metadata")
    assert answer.status_code == 200
    statement: Body = answer.json()
    return statement


@pytest.fixture(scope="module")
def everything(served: Served) -> dict[str, str]:
    """One resource of each type: its id."""
    put(served, *(a(type, "one") for type in STORED))
    put_bytes(served, "one", b"text", served.importer())
    served.http.get(f"{served.base}/Patient/anna", headers=served.headers())
    return {**dict.fromkeys(TYPES, "one"), **{type: _some(served, type) for type in READ_ONLY}}


def _some(served: Served, type: str) -> str:
    """The id of one that is there anyhow."""
    found = served.http.get(f"{served.base}/{type}?_count=1", headers=_reader(served)).json()
    id: str = found["entry"][0]["resource"]["id"]
    return id


def _reader(served: Served) -> dict[str, str]:
    return served.headers("user/*.cruds", roles=["auditor", "importer"])


def _perform(served: Served, type: str, interaction: str, *, id: str) -> httpx.Response:
    url = f"{served.base}/{type}"
    one, headers, ask = f"{url}/{id}", _reader(served), served.http.request
    resource = _resource(type, id)
    patch = [{"op": "test", "path": "/resourceType", "value": type}]
    requests: dict[str, Callable[[], httpx.Response]] = {
        "read": lambda: ask("GET", one, headers=headers),
        "vread": lambda: ask("GET", f"{one}/_history/1", headers=headers),
        "update": lambda: ask("PUT", one, json=resource, headers=headers),
        "patch": lambda: ask("PATCH", one, json=patch, headers=headers | {"Content-Type": JSON_PATCH}),
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
    assert "application/fhir+json" in stated["format"]
    (rest,) = stated["rest"]
    assert [each["type"] for each in rest["resource"]] == list(TYPES)
    said = [(each["type"], code["code"]) for each in rest["resource"] for code in each["interaction"]]
    assert sorted(said) == sorted(LINES)


@pytest.mark.parametrize(("type", "interaction"), [line for line in LINES if line[1] != "delete"])
def test_every_interaction_listed_is_served(
    served: Served, everything: dict[str, str], type: str, interaction: str
) -> None:
    answer = _perform(served, type, interaction, id=everything[type])
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
def test_every_interaction_left_out_is_refused(
    served: Served, everything: dict[str, str], type: str, interaction: str
) -> None:
    answer = _perform(served, type, interaction, id=everything[type])
    assert answer.status_code in (400, 404, 405), answer.text
    refusal(answer, answer.status_code)


@pytest.mark.parametrize("type", [type for type, interaction in LINES if interaction == "search-type"])
def test_every_parameter_listed_searches_and_sorts(served: Served, stated: Body, type: str) -> None:
    (listed,) = (each for each in stated["rest"][0]["resource"] if each["type"] == type)
    reader = _reader(served)
    for parameter in listed["searchParam"]:
        code = parameter["name"]
        asked = [{code: _value(type, code)}]
        by_words = parameter["type"] == "special" or code in REGISTRY.types[type].words
        if type != "AuditEvent" and parameter["type"] != "composite" and not by_words:
            asked.append({f"{code}:missing": "true"})
            asked.append({"_sort": f"-{code}"})
        for given in asked:
            answer = served.http.get(f"{served.base}/{type}", params=given, headers=reader)
            assert answer.status_code == 200, f"{given}: {answer.text}"


def _value(type: str, code: str) -> str:
    """Something a parameter can be asked for; of a composite, one part after the other."""
    if code in REGISTRY.types[type].words:
        return VALUES["special"]
    parameter = REGISTRY.types[type].parameters[code]
    kinds = [part.kind for part in parameter.components] or [parameter.kind]
    return "$".join(VALUES[kind] for kind in kinds)


def test_references_listed_are_followed(served: Served, stated: Body) -> None:
    """Some of each type, for there are a thousand; what the type does not list is refused."""
    reader, random = _reader(served), Random(5)
    for listed in stated["rest"][0]["resource"]:
        url = f"{served.base}/{listed['type']}"
        for name, element in (("_include", "searchInclude"), ("_revinclude", "searchRevInclude")):
            values = listed.get(element, [])
            for value in random.sample(values, min(4, len(values))):
                answer = served.http.get(url, params={name: value, "_count": "1"}, headers=reader)
                assert answer.status_code == 200, f"{value}: {answer.text}"
            if values:
                refusal(served.http.get(url, params={name: "AuditEvent:patient"}, headers=reader), 400)
                refusal(served.http.get(url, params={name: f"{listed['type']}:_id"}, headers=reader), 400)


def test_forms_stated_are_served(served: Served, stated: Body) -> None:
    for form in ("application/fhir+json", "application/fhir+xml", "text/turtle"):
        answer = served.http.get(f"{served.base}/Patient/anna", headers=_reader(served) | {"Accept": form})
        assert answer.status_code == (200 if form in stated["format"] else 406), form
    for form in ("application/json-patch+json", "application/fhir+json", "application/fhir+xml", "text/plain"):
        headers = _reader(served) | {"Content-Type": form}
        answer = served.http.patch(f"{served.base}/Patient/anna", content=b"", headers=headers)
        assert (answer.status_code == 415) is (form not in stated["patchFormat"]), form


def test_parameters_left_out_are_refused(served: Served, stated: Body) -> None:
    reader, random = _reader(served), Random(4)
    known = {each["name"] for listed in stated["rest"][0]["resource"] for each in listed.get("searchParam", ())}
    for listed in stated["rest"][0]["resource"]:
        own = {each["name"] for each in listed.get("searchParam", ())}
        if not any(each["code"] == "search-type" for each in listed["interaction"]):
            continue
        foreign = random.sample(sorted(known - own), 12)
        for code in (*foreign, "nonsense", "phonetic", "near", "_filter"):
            answer = served.http.get(f"{served.base}/{listed['type']}", params={code: "x"}, headers=reader)
            refusal(answer, 400)


def test_what_is_said_about_conditions_holds(served: Served, stated: Body, everything: dict[str, str]) -> None:
    """Each condition is either kept, for which a match shows it, or refused in so many words."""
    for listed in stated["rest"][0]["resource"]:
        type = listed["type"]
        url, headers, resource = f"{served.base}/{type}", _reader(served), _resource(type, everything[type])
        created = served.http.post(url, json=resource, headers=headers | {"If-None-Exist": f"_id={everything[type]}"})
        updated = served.http.put(f"{url}?_id={everything[type]}", json=resource, headers=headers)
        assert created.status_code == 200 if listed["conditionalCreate"] else created.status_code in (400, 405), type
        assert updated.status_code == 200 if listed["conditionalUpdate"] else updated.status_code in (400, 405), type
        deleted = served.http.delete(f"{url}?_id=nobody", headers=headers)
        kept = listed["conditionalDelete"] != "not-supported"
        assert deleted.status_code in ((204, 404) if kept else (400, 405)), type


def test_types_left_out_are_not_there(served: Served) -> None:
    reader = _reader(served)
    for type in resource_types() - set(TYPES):
        answer = served.http.get(f"{served.base}/{type}", headers=reader)
        assert refusal(answer, 404)["code"] == "not-supported"


def test_what_is_said_about_the_system_holds(served: Served, stated: Body) -> None:
    codes = {each["code"] for each in stated["rest"][0]["interaction"]}
    reader = _reader(served)
    assert codes == REGISTRY.system_interactions
    assert served.http.get(f"{served.base}/?_type=Media", headers=reader).json()["type"] == "searchset"
    for code in ("batch", "transaction"):
        bundle = {"resourceType": "Bundle", "type": code}
        for path in ("", "/"):
            answer = served.http.post(served.base + path, json=bundle, headers=reader)
            if code in codes:
                assert answer.json()["type"] == f"{code}-response"
            else:
                refusal(answer, 405)
    history = served.http.get(f"{served.base}/_history", headers=reader)
    assert history.status_code == (200 if "history-system" in codes else 404)


def test_operations_stated_have_a_route_and_no_other_has(served: Served, stated: Body) -> None:
    """One stated for the system may be called on every type."""
    (rest,) = stated["rest"]
    by_type = {each["type"]: {one["name"] for one in each.get("operation", ())} for each in rest["resource"]}
    system = {one["name"] for one in rest.get("operation", ())}
    routed = {path.rpartition("$")[2] for _, path in flattened(served.app) if "$" in path}
    assert routed == system.union(*by_type.values())
    headers = _reader(served)
    for type, names in by_type.items():
        for name in (routed | {"match", "lastn"}) - names - system:
            for path in (f"{type}/one/${name}", f"{type}/${name}"):
                answer = served.http.get(f"{served.base}/{path}", headers=headers)
                assert answer.status_code in (400, 404, 405), path


def test_the_compartment_stated_is_served(served: Served, stated: Body) -> None:
    assert stated["rest"][0]["compartment"] == ["http://hl7.org/fhir/CompartmentDefinition/patient"]
    put(served, a("Media", "in-compartment", of="anna", content={"contentType": TEXT, "title": "x"}))
    found = served.http.get(f"{served.base}/Patient/anna/Media", headers=_reader(served)).json()
    assert "in-compartment" in [each["resource"]["id"] for each in found["entry"]]
    for other in ("Encounter/one/Media", "Practitioner/dr/Media", "Device/x/Media", "RelatedPerson/x/*"):
        refusal(served.http.get(f"{served.base}/{other}", headers=_reader(served)), 404)


def _form(served: Served) -> dict[str, str]:
    return _reader(served) | {"Content-Type": "application/x-www-form-urlencoded"}


def test_who_has_it_is_sent_nothing(served: Served) -> None:
    url = f"{served.base}/metadata"
    first = served.http.get(url)
    for tags in (first.headers["ETag"], f'W/"other", {first.headers["ETag"]}', "*"):
        again = served.http.get(url, headers={"If-None-Match": tags})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]
    other = served.http.get(url, headers={"If-None-Match": 'W/"other"'})
    assert (other.status_code, other.json()) == (200, first.json())
