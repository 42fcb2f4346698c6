"""A row of the table of the standard: a sentence in our words, where the page has it, and what shows that it holds."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from tests.access.records import a
from tests.servers import Served

Force = Literal["SHALL", "SHOULD"]
Check = Callable[["Desk"], None]


@dataclass(frozen=True, slots=True)
class Row:
    """`section` is a page of FHIR R4 and the anchor on it. One of `check`, `shown` and `reason` is given.

    `shown` are names of tests (`tests/…py::test_…`); `reason` is why a sentence is not followed, or asks nothing of us.
    """

    section: str
    force: Force
    sentence: str
    check: Check | None = None
    shown: tuple[str, ...] = ()
    reason: str | None = None

    @property
    def name(self) -> str:
        return f"{self.section}: {self.sentence}"


@dataclass(slots=True)
class Table:
    """The rows of one page; `shall` and `should` take the function below them as the check."""

    page: str
    rows: list[Row] = field(default_factory=list)

    def shall(self, anchor: str, sentence: str) -> Callable[[Check], Check]:
        return self._row(anchor, "SHALL", sentence)

    def should(self, anchor: str, sentence: str) -> Callable[[Check], Check]:
        return self._row(anchor, "SHOULD", sentence)

    def shown(self, anchor: str, force: Force, sentence: str, *tests: str) -> None:
        """A sentence that a test elsewhere shows."""
        self.rows.append(Row(f"{self.page}#{anchor}", force, sentence, shown=tests))

    def apart(self, anchor: str, force: Force, sentence: str, *, reason: str) -> None:
        """A sentence we do not follow, or that asks nothing of a server."""
        self.rows.append(Row(f"{self.page}#{anchor}", force, sentence, reason=reason))

    def _row(self, anchor: str, force: Force, sentence: str) -> Callable[[Check], Check]:
        def take(check: Check) -> Check:
            self.rows.append(Row(f"{self.page}#{anchor}", force, sentence, check=check))
            return check

        return take


@dataclass(frozen=True, slots=True)
class Desk:
    """Asks the server as staff unless told otherwise."""

    served: Served
    headers: dict[str, str]
    importer: dict[str, str]

    def ask(self, method: str, path: str, expected: int | None = 200, /, **sent: Any) -> httpx.Response:
        """The answer, which has the expected status."""
        stated = {name.replace("_", "-").title(): value for name, value in sent.pop("headers", {}).items()}
        headers = {name.title(): value for name, value in self.headers.items()} | stated
        answer = self.served.http.request(method, self.served.base + path, headers=headers, **sent)
        assert expected is None or answer.status_code == expected, f"{answer.status_code}: {answer.text}"
        return answer

    def get(self, path: str, expected: int = 200, **headers: str) -> httpx.Response:
        return self.ask("GET", path, expected, headers=headers)

    def make(self, kind: str = "Media", **more: Any) -> Any:
        """A new resource, as the server has it."""
        body = {name: value for name, value in a(kind, "x", **more).items() if name != "id"}
        return self.ask("POST", f"/{kind}", 201, json=body).json()

    def put(self, resource: dict[str, Any], expected: int = 200, **headers: str) -> httpx.Response:
        return self.ask(
            "PUT", f"/{resource['resourceType']}/{resource['id']}", expected, json=resource, headers=headers
        )

    def refused(self, answer: httpx.Response) -> dict[str, Any]:
        """The first issue of the OperationOutcome an answer has to be."""
        outcome = answer.json()
        assert outcome["resourceType"] == "OperationOutcome"
        issue: dict[str, Any] = outcome["issue"][0]
        assert issue["severity"] == "error"
        return issue

    def bundle(self, kind: str, entries: list[dict[str, Any]], expected: int = 200, **headers: str) -> Any:
        """The answer to a batch or transaction."""
        body = {"resourceType": "Bundle", "type": kind, "entry": entries}
        return self.ask("POST", "/", expected, json=body, headers=headers).json()


def entry(method: str, url: str, resource: dict[str, Any] | None = None, /, **more: Any) -> dict[str, Any]:
    """An entry of a batch or transaction; `full_url` is its fullUrl, the rest goes into the request."""
    made: dict[str, Any] = {"request": {"method": method, "url": url}}
    if "full_url" in more:
        made["fullUrl"] = more.pop("full_url")
    if resource is not None:
        made["resource"] = resource
    made["request"] |= more
    return made


def marked(mark: str) -> list[dict[str, str]]:
    """An identifier by which what a check made is found again."""
    return [{"system": "urn:marks", "value": mark}]
