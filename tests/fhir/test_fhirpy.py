"""fhirpy, a published client, drives the running server: its synchronous and its asynchronous half do the same."""

import base64
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from fhirpy import AsyncFHIRClient, SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound
from fhirpy.base.searchset import Raw

from tests.access.records import a, put
from tests.fhir.rest import versions_stored
from tests.servers import Served


class Awaited:
    """Calls the methods of either client alike: what can be awaited is."""

    def __init__(self, held: Any) -> None:
        self.held = held

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def called(*arguments: Any, **named: Any) -> Any:
            result = getattr(self.held, name)(*arguments, **named)
            return await result if inspect.isawaitable(result) else result

        return called


@pytest.fixture(params=[SyncFHIRClient, AsyncFHIRClient])
def client(request: pytest.FixtureRequest, served: Served) -> Any:
    """A client with an importer's token."""
    token = served.token("user/*.cruds", roles=["importer"])
    return request.param(served.base, authorization=f"Bearer {token}")


async def test_a_resource_lives_its_life(client: Any) -> None:
    subject = {"reference": "Patient/anna"}
    media = client.resource("Media", status="completed", subject=subject, content={"title": "arm"})
    await Awaited(media).save()
    assert media.id
    assert media["meta"]["versionId"] == "1"

    media["deviceName"] = "camera"
    await Awaited(media).save()
    assert media["meta"]["versionId"] == "2"

    read = await Awaited(client.reference("Media", media.id)).to_resource()
    assert read.serialize() == media.serialize()
    assert (await Awaited(client).get("Media", media.id))["deviceName"] == "camera"

    await Awaited(media).refresh()
    assert media["deviceName"] == "camera"
    await Awaited(media).delete()
    with pytest.raises(ResourceNotFound):
        await Awaited(client).get("Media", media.id)


async def test_ids_can_be_chosen(client: Any) -> None:
    await Awaited(client.resource("Patient", id="fhirpy-1", active=True)).save()
    assert (await Awaited(client.reference("Patient", "fhirpy-1")).to_resource())["active"] is True


async def test_searches(client: Any, served: Served) -> None:
    put(served, a("Patient", "found"), a("Patient", "other"))
    for number in range(7):
        put(served, a("Media", f"found-{number}", of="found", createdDateTime=f"202{number}"))
    media = client.resources("Media").search(patient="found")

    newest = await Awaited(media.sort("-when").limit(3)).fetch()
    assert [each.id for each in newest] == ["found-6", "found-5", "found-4"]
    everything = await Awaited(media.sort("when").limit(2)).fetch_all()
    assert [each.id for each in everything] == [f"found-{number}" for number in range(7)]
    assert await Awaited(media).count() == 7
    assert (await Awaited(media.sort("-when")).first()).id == "found-6"
    assert (await Awaited(media.search(when__ge="2023", when__lt="2025").sort("when")).fetch())[0].id == "found-3"
    assert await Awaited(media.search(status__not="completed")).fetch() == []
    assert await Awaited(client.resources("Media").search(patient="other")).fetch() == []
    parts = await Awaited(media.elements("deviceName").limit(1)).fetch()
    assert "subject" not in parts[0].serialize()
    single = await Awaited(client.resources("Media").search(_id="found-2")).get()
    assert single["createdDateTime"] == "2022"
    raw = await Awaited(client.resources("Media").search(Raw(patient="found", department="derm"))).fetch()
    assert len(raw) == 7


async def test_refusals_arrive_as_outcomes(client: Any, served: Served) -> None:
    before = versions_stored(served)
    for refused in (
        Awaited(client.resource("Media", status="nonsense", content={"title": "x"})).save(),
        Awaited(client.resource("Media", nonsense=1)).save(),
        Awaited(client.resources("Media").search(nonsense="x")).fetch(),
        Awaited(client.resources("Media").search(when="yesterday")).fetch(),
        Awaited(client.resource("Media", id="found-0", deviceName="x")).patch(deviceName="y"),
    ):
        with pytest.raises(OperationOutcome) as caught:
            await refused
        assert caught.value.resource["issue"][0]["severity"] == "error"
    assert versions_stored(served) == before


async def test_bytes_beside_it(client: Any, served: Served) -> None:
    """fhirpy has no calls for raw content; any HTTP client of its user has."""
    headers = {"Authorization": client.authorization}
    async with httpx.AsyncClient(base_url=served.base, headers=headers) as http:
        sent = await http.post("/Binary", content=b"letter", headers={"Content-Type": "text/plain"})
        reference = f"Binary/{sent.json()['id']}"
        letter = client.resource(
            "DocumentReference", status="current", subject={"reference": "Patient/anna"},
            content=[{"attachment": {"url": reference}}],
        )  # fmt: skip
        await Awaited(letter).save()
        assert letter["content"][0]["attachment"]["size"] == 6
        assert (await http.get(f"/{reference}")).content == b"letter"
    binary = await Awaited(client.reference(reference=reference)).to_resource()
    assert base64.b64decode(binary["data"]) == b"letter"
