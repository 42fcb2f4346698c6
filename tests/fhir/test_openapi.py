"""The OpenAPI document says what the routes and the Registry say, its schemas fit, and a client can be made of it."""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest

from fhirmedia.r4.elements import table
from fhirmedia.r4.examples import example
from fhirmedia.r4.json_schema import schema_name, schemas
from fhirmedia.r4.registry import load_registry
from tests.access.enumeration import flattened
from tests.access.records import places, put
from tests.fhir.generated import generated
from tests.fhir.official import definitions, examples
from tests.servers import FHIR_JSON, Served, serving

Document = dict[str, Any]

INSTANCE = {
    "read": ("GET", "/{id}"),
    "update": ("PUT", "/{id}"),
    "patch": ("PATCH", "/{id}"),
    "delete": ("DELETE", "/{id}"),
}
VERSIONS = {"vread": ("GET", "/{id}/_history/{version}"), "history-instance": ("GET", "/{id}/_history")}
WHOLE = {"create": ("POST", ""), "search-type": ("GET", ""), "history-type": ("GET", "/_history")}
BY_STATEMENT = {"conditionalUpdate": ("PUT", ""), "conditionalPatch": ("PATCH", "")}
ADDRESSES = {**INSTANCE, **VERSIONS, **WHOLE}
CLIENT_TYPES = ("Patient", "Media", "System")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("openapi") / "data") as server:
        put(server, *places(), {"resourceType": "Patient", "id": "example"})
        yield server


@pytest.fixture(scope="module")
def document(served: Served) -> Document:
    answer = served.http.get(served.base.removesuffix("/fhir") + "/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    told: Document = answer.json()
    return told


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    """Method, path and operation of everything described."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def test_it_is_there_for_everybody_and_packed_on_request(served: Served) -> None:
    url = served.base.removesuffix("/fhir") + "/openapi.json"
    plain = served.http.get(url, headers={"Accept-Encoding": "identity"})
    packed = served.http.get(url, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert plain.content == packed.content
    assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"


def test_it_is_openapi_3_1(document: Document, served: Served) -> None:
    assert document["openapi"] == "3.1.0"
    assert document["servers"] == [{"url": served.base}]
    assert document["security"] == [{"token": []}]
    jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **document["components"]})
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    for reference in _references(document):
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
    tags = {tag["name"] for tag in document["tags"]} | {"System"}
    for method, path, operation in operations(document):
        assert set(operation["tags"]) <= tags
        assert operation["summary"]
        assert operation["description"]
        stated = {each["name"] for each in operation["parameters"] if each.get("in") == "path"}
        assert stated == {part[1:-1] for part in path.split("/") if part.startswith("{")}, (method, path)


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from _references(each)


def test_it_says_what_the_statement_says(served: Served, document: Document) -> None:
    """Interaction by interaction, parameter by parameter; nothing is told that is not stated."""
    statement = served.http.get(f"{served.base}/metadata").json()
    server = statement["rest"][0]
    expected = {("GET", "/metadata"), ("GET", "/Patient/{id}/{type}"), ("POST", "/Patient/{id}/{type}/_search")}
    stated = {each["code"] for each in server["interaction"]}
    system = {"search-system": ("GET", "/"), "history-system": ("GET", "/_history"), "transaction": ("POST", "/")}
    expected |= {address for code, address in system.items() if code in stated} | {("POST", "/_search")}
    for entry in server["resource"]:
        kind, codes = entry["type"], {each["code"] for each in entry["interaction"]}
        expected |= {(method, f"/{kind}{path}") for code, (method, path) in ADDRESSES.items() if code in codes}
        if "search-type" in codes:
            expected.add(("POST", f"/{kind}/_search"))
            got = {
                each["name"]
                for each in document["paths"][f"/{kind}"]["get"]["parameters"]
                if "name" in each and each["in"] == "query"
            }
            assert got == {each["name"] for each in entry.get("searchParam", ())}, kind
        conditional = {"conditionalUpdate": "PUT", "conditionalPatch": "PATCH"}
        expected |= {(method, f"/{kind}") for name, method in conditional.items() if entry.get(name)}
        if entry.get("conditionalDelete", "not-supported") != "not-supported":
            expected.add(("DELETE", f"/{kind}"))
    found = {(method, path) for method, path, _ in operations(document) if "$" not in path}
    patched = {("PATCH", f"/{each['type']}") for each in server["resource"]}
    assert found - patched == expected - patched
    named = {(entry["type"], each["name"]) for entry in server["resource"] for each in entry.get("operation", ())}
    told = {(path.split("/")[1], path.split("$")[1]) for _, path, _ in operations(document) if "$" in path}
    of_system = {each["name"] for each in server.get("operation", ())}
    assert {each for each in told if each[1] not in of_system} == named - {
        each for each in named if each[1] in of_system
    }
    assert of_system <= {name for _, name in told}


def test_every_route_is_in_it_and_nothing_else(served: Served, document: Document) -> None:
    routes = {
        (method, path.removeprefix("/fhir") or "/")
        for method, path in flattened(served.app)
        if path.startswith("/fhir") and method != "HEAD"
    }
    types = set(load_registry().types)

    def template(path: str, operation: Document) -> str:
        parts = path.split("/")
        if operation["tags"] == ["System"] and path.startswith("/Patient/"):
            parts[1] = "{compartment}"
        elif parts[1] in types:
            parts[1] = "{type}"
        return "/".join(parts)

    assert {(method, template(path, each)) for method, path, each in operations(document)} == routes


def test_official_examples_fit_the_schemas() -> None:
    types = load_registry().types
    validators = _validators([*types, "Bundle"])
    checked = 0
    for name, content in examples(definitions(), every=25):
        resource = json.loads(content)
        kind = resource["resourceType"]
        if kind in validators:
            errors = [each.message[:200] for each in validators[kind].iter_errors(resource)]
            assert errors == [], name
            checked += 1
    assert checked > 100


def test_generated_resources_fit_and_spoilt_ones_do_not() -> None:
    types = sorted(load_registry().types)
    for kind, validator in _validators(types).items():
        for seed in range(5):
            resource = json.loads(json.dumps(generated(kind, seed), default=float))
            if _lacks_a_value(resource):
                continue
            assert validator.is_valid(resource), (kind, seed, next(validator.iter_errors(resource)).message[:300])
        assert not validator.is_valid({**resource, "unknown": 1})
        assert not validator.is_valid({**resource, "resourceType": "Nothing"})
        assert not validator.is_valid({**resource, "meta": "x"})
        assert not validator.is_valid({**resource, "language": 1})


def _lacks_a_value(node: Any) -> bool:
    """Whether extensions stand for a primitive somewhere, which no schema for clients speaks of."""
    if isinstance(node, list):
        return any(map(_lacks_a_value, node))
    if not isinstance(node, dict):
        return False
    beside = [node.get(name[1:]) for name in node if name[0] == "_"]
    bare = any(value is None or (isinstance(value, list) and None in value) for value in beside)
    return bare or any(map(_lacks_a_value, node.values()))


def _validators(types: list[str]) -> dict[str, Any]:
    made = schemas(types)
    whole = {"components": {"schemas": made}}
    return {
        kind: jsonschema_rs.Draft202012Validator({"$ref": f"#/components/schemas/{schema_name(table(kind))}", **whole})
        for kind in types
    }


def test_schemas_have_names_of_their_own() -> None:
    for kind in load_registry().types:
        assert schema_name(table(kind)) == kind
    assert {"Extension", "HumanName", "PatientContact", "ImagingStudySeriesInstance"} <= schemas(
        ["Patient", "ImagingStudy"]
    ).keys()


def test_every_example_is_taken(served: Served, document: Document) -> None:
    for kind, described in load_registry().types.items():
        if "create" not in described.interactions:
            continue
        shown = document["paths"][f"/{kind}"]["post"]["requestBody"]["content"][FHIR_JSON]["example"]
        assert shown == example(kind)
        made = served.http.post(f"{served.base}/{kind}", json=shown, headers=served.headers())
        assert made.status_code == 201, (kind, made.text)


def test_a_client_made_of_it_works(served: Served, document: Document, tmp_path: Path) -> None:
    """Generated by a published tool, then used to create, read, change and search."""
    (tmp_path / "openapi.json").write_text(json.dumps(_part(document)))
    (tmp_path / "config.yaml").write_text("post_hooks: []\n")
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "openapi-python-client"), "generate", "--meta", "none",
            "--path", "openapi.json", "--output-path", "archive_client", "--config", "config.yaml",
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    sys.path.insert(0, str(tmp_path))
    try:
        _use_client(served)
    finally:
        sys.path.remove(str(tmp_path))
        for name in [name for name in sys.modules if name.startswith("archive_client")]:
            del sys.modules[name]


def _use_client(served: Served) -> None:
    def module(name: str) -> Any:
        return importlib.import_module(f"archive_client.{name}")

    models = module("models")
    client = module("client").AuthenticatedClient(base_url=served.base, token=served.token(), timeout=httpx.Timeout(30))
    with client:
        patient = models.Patient.from_dict({**example("Patient"), "birthDate": "1970"})
        made = module("api.patient.create_patient").sync_detailed(client=client, body=patient)
        assert made.status_code == 201
        assert isinstance(made.parsed, models.Patient)
        identity = made.parsed.id
        read = module("api.patient.read_patient").sync(identity, client=client)
        assert read.birth_date == "1970"
        read.birth_date = "1971-02"
        changed = module("api.patient.update_patient").sync_detailed(
            identity, client=client, body=read, if_match=made.headers["etag"]
        )
        assert changed.status_code == 200
        media = models.Media.from_dict({**example("Media"), "subject": {"reference": f"Patient/{identity}"}})
        assert module("api.media.create_media").sync_detailed(client=client, body=media).status_code == 201
        found = module("api.media.search_media").sync(client=client, patient=[identity], field_count=1)
        assert isinstance(found, models.Bundle)
        assert [each.resource["subject"]["reference"] for each in found.entry] == [f"Patient/{identity}"]
        refused = module("api.media.search_media").sync_detailed(client=client, when=["nonsense"])
        assert (refused.status_code, json.loads(refused.content)["resourceType"]) == (400, "OperationOutcome")


def _part(document: Document) -> Document:
    """The document of a few types: the tool needs a minute for all."""
    paths = {
        path: {method: each for method, each in item.items() if each["tags"][0] in CLIENT_TYPES}
        for path, item in document["paths"].items()
    }
    part = {**document, "paths": {path: item for path, item in paths.items() if item}}
    needed: dict[str, Any] = {}
    waiting = set(_references({**part, "components": {**part["components"], "schemas": {}}}))
    while waiting:
        name = waiting.pop().rpartition("/")[2]
        if name in document["components"]["schemas"] and name not in needed:
            needed[name] = document["components"]["schemas"][name]
            waiting |= set(_references(needed[name]))
    return {**part, "components": {**document["components"], "schemas": needed}}
