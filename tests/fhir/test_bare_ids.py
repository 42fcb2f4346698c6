"""A reference asked for by an id alone: where several resources the caller may see have it, the type has to be said."""

import pytest

from tests.access.records import a, put
from tests.fhir.rest import names, refusal
from tests.servers import Served

ASKED = (
    "Media?subject=anna",
    "Media?subject=dr,anna",
    "Media?subject=anna&_summary=count",
    "?_type=Media&subject=anna",
)


@pytest.fixture(scope="module", autouse=True)
def twice(served: Served) -> None:
    """A Group that has Anna's id."""
    put(served, a("Media", "m"), {"resourceType": "Group", "id": "anna", "type": "person", "actual": True})


@pytest.mark.parametrize("query", [*ASKED, "$media-stats?_type=Media&subject=anna&facet=kind"])
def test_the_type_is_asked_for(served: Served, query: str) -> None:
    told = refusal(served.http.get(f"{served.base}/{query}", headers=served.headers("user/*.rs")), 400)
    assert (told["code"], told["expression"]) == ("multiple-matches", ["http.subject"])
    assert "Group, Patient each have a resource of that id" in told["diagnostics"]
    assert "anna" not in told["diagnostics"]


@pytest.mark.parametrize("query", ["subject=Patient/anna", "subject:Patient=anna", "subject=Group/anna,Patient/anna"])
def test_who_says_the_type_is_answered(served: Served, query: str) -> None:
    found = served.http.get(f"{served.base}/Media?{query}", headers=served.headers("user/*.rs"))
    assert names(found.json()) == ["Media/m"]


@pytest.mark.parametrize("query", ["Media?patient=anna", "Media?subject=anna&subject:Patient=anna"])
@pytest.mark.parametrize("scope", ["user/Media.rs user/Patient.rs", "user/Media.rs", "user/Media.rs user/Group.s"])
def test_only_what_the_caller_may_see_can_be_meant(served: Served, query: str, scope: str) -> None:
    found = served.http.get(f"{served.base}/{query}", headers=served.headers(scope))
    assert names(found.json()) == ["Media/m"]
