"""SMART's Python client (fhirclient) drives the running server; what it has no call for goes through its session."""

import base64
from typing import Any

import pytest
from fhirclient import client as smart
from fhirclient.auth import FHIRAuth
from fhirclient.models import binary, bundle, fhirabstractresource, media, patient
from fhirclient.models.attachment import Attachment
from fhirclient.models.fhirreference import FHIRReference
from fhirclient.server import FHIRNotFoundException

from tests.media.pictures import encoded, photo
from tests.servers import Served

PICTURE = encoded(photo(), "PNG")


@pytest.fixture
def server(served: Served) -> Any:
    """A client that was given a token, as after a launch."""
    made = smart.FHIRClient(settings={"app_id": "tests", "api_base": served.base})
    made.server.auth = FHIRAuth.create("oauth2", state={"app_id": "tests", "access_token": served.token()})
    return made.server


def a_media(**more: Any) -> Any:
    made = media.Media({"status": "completed", "content": {"title": "a picture"}, **more})
    made.subject = FHIRReference({"reference": "Patient/anna"})
    return made


def stored(server: Any, **more: Any) -> Any:
    """A created Media, as the server has it."""
    answer = a_media(**more).create(server)
    return media.Media.read(answer["id"], server)


def test_a_resource_lives_its_life(server: Any) -> None:
    made = stored(server)
    assert made.meta.versionId == "1"
    made.deviceName = "camera"
    assert made.update(server)["meta"]["versionId"] == "2"
    assert media.Media.read(made.id, server).deviceName == "camera"
    made.delete(server)
    with pytest.raises(FHIRNotFoundException):
        media.Media.read("absent", server)


def test_it_reads_what_the_server_can_do(server: Any) -> None:
    assert server.capabilityStatement.fhirVersion == "4.0.1"


def test_searches_and_pages(server: Any) -> None:
    found = media.Media.where({"identifier": "urn:marks|page", "_sort": "created", "_count": "3"})
    first = next(found.perform_iter(server))
    assert [entry.resource.id for entry in first.entry] == ["page-0", "page-1", "page-2"]
    everything = list(found.perform_resources_iter(server))
    assert [each.id for each in everything] == [f"page-{number}" for number in range(7)]
    assert all(isinstance(each, fhirabstractresource.FHIRAbstractResource) for each in everything)
    assert [each.active for each in patient.Patient.where({"_id": "anna"}).perform_resources_iter(server)] == [True]


def test_references_are_followed(server: Any) -> None:
    made = stored(server)
    assert made.subject.resolved(patient.Patient).id == "anna"


def test_patches(server: Any) -> None:
    made = stored(server)
    headers = server.auth.signed_headers({"Content-Type": "application/json-patch+json"})
    operations = [{"op": "add", "path": "/deviceName", "value": "camera"}]
    answer = server.session.patch(f"{server.base_uri}Media/{made.id}", json=operations, headers=headers)
    assert answer.status_code == 200, answer.text
    assert media.Media(answer.json()).deviceName == "camera"


def test_a_transaction(server: Any) -> None:
    first = "urn:uuid:33333333-3333-4333-8333-333333333333"
    whole = bundle.Bundle({
        "type": "transaction",
        "entry": [
            {"fullUrl": first, "resource": {"resourceType": "Patient", "active": True},
             "request": {"method": "POST", "url": "Patient"}},
            {"resource": a_media().as_json() | {"subject": {"reference": first}},
             "request": {"method": "POST", "url": "Media"}},
        ],
    })  # fmt: skip
    answer = bundle.Bundle(server.post_json("", whole.as_json()).json())
    assert answer.type == "transaction-response"
    made = [entry.response.location.partition("/_history")[0].split("/")[-2:] for entry in answer.entry]
    assert media.Media.read(made[1][1], server).subject.reference == "/".join(made[0])


def test_uploads(server: Any) -> None:
    sent = binary.Binary({"contentType": "image/png", "data": base64.b64encode(PICTURE).decode()})
    id = sent.create(server)["id"]
    made = stored(server, content={"url": f"Binary/{id}"})
    assert isinstance(made.content, Attachment)
    assert made.content.size == len(PICTURE)
    assert base64.b64decode(binary.Binary.read(id, server).data) == PICTURE
    assert server.request_data(f"Binary/{id}", headers={"Accept": "image/png"}) == PICTURE


def test_raw_uploads(server: Any) -> None:
    headers = server.auth.signed_headers({"Content-Type": "image/png"})
    answer = server.session.post(f"{server.base_uri}Binary", data=PICTURE, headers=headers)
    assert answer.status_code == 201
    assert server.request_data(f"Binary/{answer.json()['id']}", headers={"Accept": "*/*"}) == PICTURE
