"""HL7's official examples of every type that can be created: written over REST and read back equal to the digit."""

import base64
import hashlib
from typing import Any

import pytest

from fhirmedia.r4.attachments import find_attachments
from fhirmedia.r4.registry import load_registry
from tests.fhir.official import definitions
from tests.fhir.rest import exact, without_server_parts
from tests.servers import FHIR_JSON, Served

TYPES = [name for name, each in load_registry().types.items() if "create" in each.interactions and name != "Binary"]

REFUSED = {
    "DiagnosticReport-example-pgx.json": "its PDF is a sentence, and its hash is hexadecimal",
    "Media-sound.json": "its audio is a sentence",
    "Basic-referral.json": "its modifier extensions are unknown here",
    "Observation-clinical-gender.json": "R4 does not let performer refer to an Encounter",
    "RelatedPerson-benedicte.json": "its photograph is a Binary that is not among the examples",
    "RelatedPerson-peter.json": "its photograph is a Binary that is not among the examples",
}
"""By name, with the reason: what our rules about bytes and references do not take."""


@pytest.fixture(scope="module", autouse=True)
def binaries(served: Served) -> list[str]:
    """The examples of Binaries, under their own ids: other examples refer to them."""
    source, headers = definitions(), served.importer()
    names = source.names("Binary-")
    for name in names:
        sent = exact(source.content(name))
        url = f"{served.base}/Binary/{sent['id']}"
        answer = served.http.put(url, content=source.content(name), headers=headers)
        assert answer.status_code == 201, answer.text
    return names


def test_binaries_come_back_equal_in_both_forms(served: Served, binaries: list[str]) -> None:
    source, headers = definitions(), served.importer() | {"Accept": FHIR_JSON}
    for name in binaries:
        sent = exact(source.content(name))
        url = f"{served.base}/Binary/{sent['id']}"
        data = base64.b64decode("".join(sent.pop("data").split()))
        stored = exact(served.http.get(url, headers=headers).text)
        assert base64.b64decode(stored.pop("data")) == data
        assert without_server_parts(stored) == without_server_parts(sent)
        raw = served.http.get(url, headers=headers | {"Accept": "*/*"})
        assert raw.content == data
        assert raw.headers["content-type"] == sent["contentType"]


@pytest.mark.parametrize("type", TYPES)
def test_every_example_comes_back_equal(served: Served, type: str) -> None:
    source, headers, refused = definitions(), served.importer(), {}
    names = source.names(f"{type}-")
    assert names
    for name in names:
        content = source.content(name)
        made = served.http.post(f"{served.base}/{type}", content=content, headers=headers)
        if made.status_code != 201:
            refused[name] = made.json()["issue"][0]["diagnostics"]
            continue
        sent, stored = exact(content), exact(served.http.get(made.headers["location"], headers=headers).text)
        _settle_attachments(served, stored, sent, type)
        assert without_server_parts(stored) == without_server_parts(sent), name
    assert {name: text for name, text in refused.items() if name not in REFUSED} == {}
    assert set(refused) == {name for name in REFUSED if name.startswith(f"{type}-")}


def _settle_attachments(served: Served, stored: Any, sent: Any, type: str) -> None:
    """What the server made of each Attachment is right; it is then taken out of both, so that the rest compares."""
    for ours, theirs in zip(find_attachments(stored, type), find_attachments(sent, type), strict=True):
        url, data = str(ours.node.get("url", "")), theirs.node.pop("data", None)
        if not url.startswith("Binary/"):
            assert data is None
            continue
        content = served.http.get(f"{served.base}/{url}", headers=served.importer()).content
        assert ours.node["size"] == len(content)
        assert ours.node["hash"] == base64.b64encode(hashlib.sha1(content).digest()).decode()
        if data is not None:
            assert content == base64.b64decode("".join(str(data).split()))
        for filled in {"url", "size", "hash", "contentType"} - theirs.node.keys():
            del ours.node[filled]
