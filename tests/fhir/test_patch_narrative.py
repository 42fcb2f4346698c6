"""After a patch no narrative says what is no longer true (FHIR R4, http 3.1.0.8)."""

from typing import Any

import httpx
import pytest

from tests.access.records import a
from tests.fhir.rest import created, nothing_stored, refusal
from tests.servers import Served

RENAME = [{"op": "replace", "path": "/deviceName", "value": "two"}]
TAG = [{"op": "add", "path": "/meta/tag/-", "value": {"code": "x"}}]


def narrative(status: str, text: str = "camera one") -> dict[str, str]:
    return {"status": status, "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{text}</div>'}


def patched(served: Served, status: str, operations: list[dict[str, Any]]) -> httpx.Response:
    """The answer to a patch of a new Media with such a narrative."""
    made = created(served, a("Media", "x", deviceName="one", text=narrative(status)))
    headers = served.headers() | {"Content-Type": "application/json-patch+json"}
    return served.http.patch(f"{served.base}/Media/{made['id']}", json=operations, headers=headers)


@pytest.mark.parametrize("status", ["generated", "extensions"])
def test_what_a_program_wrote_is_taken_out(served: Served, status: str) -> None:
    answer = patched(served, status, RENAME)
    assert answer.status_code == 200, answer.text
    assert answer.json()["deviceName"] == "two"
    assert "text" not in answer.json()


def test_what_people_wrote_is_not_left_untrue(served: Served) -> None:
    created(served, a("Media", "x"))
    answer = patched(served, "additional", RENAME)
    assert refusal(answer, 422)["expression"] == ["Media.text"]
    made = created(served, a("Media", "x", deviceName="one", text=narrative("additional")))
    headers = served.headers() | {"Content-Type": "application/json-patch+json"}
    with nothing_stored(served):
        refusal(served.http.patch(f"{served.base}/Media/{made['id']}", json=RENAME, headers=headers), 422)


def test_an_empty_narrative_tells_nothing(served: Served) -> None:
    assert patched(served, "empty", RENAME).json()["text"]["status"] == "empty"


@pytest.mark.parametrize("status", ["generated", "additional"])
def test_a_patch_of_the_narrative_itself_or_of_meta_leaves_it(served: Served, status: str) -> None:
    anew = [*RENAME, {"op": "replace", "path": "/text", "value": narrative(status, "camera two")}]
    assert "camera two" in patched(served, status, anew).json()["text"]["div"]
    assert "text" not in patched(served, status, [*RENAME, {"op": "remove", "path": "/text"}]).json()
    assert patched(served, status, TAG).json()["text"] == narrative(status)
