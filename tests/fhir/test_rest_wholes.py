"""What a write must not do by accident: put a part in the place of the whole, or lose its content on the way."""

from typing import Any

from tests.servers import Served


def put(served: Served, resource: dict[str, Any]) -> int:
    return served.put(resource).status_code


def test_a_part_cannot_take_the_place_of_the_whole(served: Served) -> None:
    headers = served.importer()
    media: dict[str, Any] = {
        "resourceType": "Media",
        "id": "whole",
        "status": "completed",
        "deviceName": "Canon",
        "content": {"title": "photograph"},
    }
    assert put(served, media) == 201
    page = served.http.get(f"{served.base}/Media?_id=whole&_elements=status", headers=headers).json()
    part = page["entry"][0]["resource"]
    assert "deviceName" not in part
    refused = served.put(part)
    assert refused.status_code == 400
    assert refused.json()["issue"][0]["expression"] == ["Media.meta.tag[0]"]


def test_a_record_takes_its_content_along_when_its_patient_is_corrected(served: Served) -> None:
    headers = served.importer()
    for patient in ("right", "wrong"):
        assert put(served, {"resourceType": "Patient", "id": patient}) == 201
    media: dict[str, Any] = {
        "resourceType": "Media",
        "id": "moved",
        "status": "completed",
        "subject": {"reference": "Patient/wrong"},
        "content": {"contentType": "text/plain", "data": "aGVq"},
    }
    stored = served.put(media).json()
    binary = f"{served.base}/{stored['content']['url']}"
    stored["subject"] = {"reference": "Patient/right"}
    assert put(served, stored) == 200
    for patient, status in (("right", 200), ("wrong", 404)):
        bound = served.headers("patient/*.rs", patient=patient) | {"Accept": "text/plain"}
        assert served.http.get(binary, headers=bound).status_code == status
    other = {**stored, "id": "stranger", "subject": {"reference": "Patient/wrong"}}
    assert served.put(other, headers).status_code == 422


def test_a_claim_names_the_binary_and_no_version_of_it(served: Served) -> None:
    headers = served.importer()
    assert put(served, {"resourceType": "Patient", "id": "somebody"}) == 201
    upload = served.http.post(
        f"{served.base}/Binary", content=b"hej", headers={**headers, "Content-Type": "text/plain"}
    )
    identity = upload.json()["id"]
    assert upload.headers["Location"] == f"{served.base}/Binary/{identity}"
    assert served.http.get(upload.headers["Location"], headers=headers).content == b"hej"
    media: dict[str, Any] = {
        "resourceType": "Media",
        "id": "versioned",
        "status": "completed",
        "subject": {"reference": "Patient/somebody"},
        "content": {"url": f"Binary/{identity}/_history/99"},
    }
    assert put(served, media) == 422
