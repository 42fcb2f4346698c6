"""An EHR mirrors its resources under its own ids: by PUT, below the prefixes its issuer's row names, nowhere else."""

from collections.abc import Iterator

import pytest

from fhirmedia.core.settings import Settings
from tests.access.issuing import claims, ec_signer, row, write_list
from tests.access.records import a, places, put
from tests.fhir.rest import created, nothing_stored, refusal
from tests.servers import FHIR_JSON, Served, serving


@pytest.fixture(scope="module")
def ehr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, dict[str, str]]]:
    """A server that trusts the issuer of a regional EHR, and that EHR's headers."""
    folder = tmp_path_factory.mktemp("prefixes")
    issuers = write_list(folder, row(id_prefixes=["ehr-", "lab."], scopes="user/*.cruds"))
    with serving(folder / "data", Settings(environment="test", trusted_issuers=issuers)) as served:
        put(served, *places())
        now_s = served.clock() // 1000
        token = ec_signer().token(claims(aud=served.base, iat=now_s, exp=now_s + 600, scope="user/*.cruds"))
        yield served, {"Authorization": f"Bearer {token}", "Content-Type": FHIR_JSON}


def test_below_its_prefixes_it_chooses_ids(ehr: tuple[Served, dict[str, str]]) -> None:
    served, headers = ehr
    for id in ("ehr-1", "ehr-", "lab.x"):
        answer = served.put(a("Patient", id), headers)
        assert answer.status_code == 201
        assert answer.headers["location"] == f"{served.base}/Patient/{id}/_history/1"
        assert served.put(a("Patient", id, active=False), headers).status_code == 200
    assert served.put(a("Media", "ehr-m", of="ehr-1"), headers).status_code == 201


def test_elsewhere_it_does_not(ehr: tuple[Served, dict[str, str]]) -> None:
    served, headers = ehr
    with nothing_stored(served):
        for id in ("1", "EHR-1", "ehr", "lab-1", "x-ehr-1"):
            refusal(served.put(a("Patient", id), headers), 405)
    made = created(served, a("Patient", "ehr-2"), headers)
    assert made["id"] != "ehr-2"
    assert served.put(made | {"active": False}, headers).status_code == 200


def test_what_it_refers_to_has_to_be_there_first(ehr: tuple[Served, dict[str, str]]) -> None:
    served, headers = ehr
    with nothing_stored(served):
        assert refusal(served.put(a("Media", "ehr-early", of="ehr-late"), headers), 422)["expression"] == [
            "Media.subject"
        ]
    assert served.put(a("Patient", "ehr-late"), headers).status_code == 201
    assert served.put(a("Media", "ehr-early", of="ehr-late"), headers).status_code == 201


def test_two_writers_of_one_id_do_not_overwrite_each_other(ehr: tuple[Served, dict[str, str]]) -> None:
    served, headers = ehr
    assert served.put(a("Patient", "ehr-race"), headers | {"If-Match": 'W/"1"'}).status_code == 412
    assert served.put(a("Patient", "ehr-race"), headers).status_code == 201
    assert served.put(a("Patient", "ehr-race"), headers | {"If-Match": 'W/"1"'}).status_code == 200
    assert served.put(a("Patient", "ehr-race"), headers | {"If-Match": 'W/"1"'}).status_code == 412
