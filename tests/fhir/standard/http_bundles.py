"""FHIR R4, http and bundle: batches, transactions, and what holds for every Bundle."""

from typing import Any

from tests.access.records import a
from tests.fhir.standard.rows import Desk, Table, entry, marked

T = Table("http")
B = Table("bundle")
ONE, TWO = "urn:uuid:0a0a0a0a-0000-4000-8000-000000000001", "urn:uuid:0a0a0a0a-0000-4000-8000-000000000002"


def a_body(kind: str = "Media", **more: Any) -> dict[str, Any]:
    return {name: value for name, value in a(kind, "x", **more).items() if name != "id"}


@T.shall("transaction", "Every entry says what is to be done; a POST or PUT has a resource.")
def _(desk: Desk) -> None:
    for wrong in ({"resource": a_body()}, entry("POST", "Media"), entry("PUT", "Media/x")):
        body = {"resourceType": "Bundle", "type": "transaction", "entry": [wrong]}
        desk.refused(desk.ask("POST", "/", 400, json=body))


@T.should("transaction", "Entries may read, search, create, update, patch and delete.")
def _(desk: Desk) -> None:
    kept, gone = desk.make(), desk.make()
    answer = desk.bundle(
        "transaction",
        [
            entry("GET", f"Media/{kept['id']}"),
            entry("GET", f"Media?_id={kept['id']}"),
            entry("POST", "Media", a_body()),
            entry("PUT", f"Media/{kept['id']}", {**kept, "deviceName": "x"}),
            entry("DELETE", f"Media/{gone['id']}"),
        ],
    )
    assert [each["response"]["status"][:3] for each in answer["entry"]] == ["200", "200", "201", "200", "204"]


@T.should("brules", "What one entry of a batch meets does not touch the others; the whole is 200.")
def _(desk: Desk) -> None:
    answer = desk.bundle(
        "batch",
        [
            entry("POST", "Media", {"resourceType": "Media", "status": "nonsense"}),
            entry("POST", "Media", a_body(identifier=marked("batch-1"))),
            entry("GET", "Media/absent"),
        ],
    )
    assert [each["response"]["status"][:3] for each in answer["entry"]] == ["400", "201", "404"]
    assert answer["entry"][0]["response"]["outcome"]["resourceType"] == "OperationOutcome"
    assert desk.get("/Media?identifier=urn:marks|batch-1").json()["total"] == 1


@T.shall("brules", "Entries of a batch do not lean on each other: a reference to another entry leads nowhere.")
def _(desk: Desk) -> None:
    answer = desk.bundle(
        "batch",
        [
            entry("POST", "Patient", {"resourceType": "Patient", "active": True}, full_url=ONE),
            entry("POST", "Media", {**a_body(), "subject": {"reference": ONE}}),
        ],
    )
    assert answer["entry"][0]["response"]["status"].startswith("201")
    assert answer["entry"][1]["response"]["status"].startswith("4")


@T.shall("trules", "A transaction does all and is 200, or does nothing and is 4xx or 5xx.")
def _(desk: Desk) -> None:
    good = entry("POST", "Media", a_body(identifier=marked("tx-1")))
    bad = entry("POST", "Media", {"resourceType": "Media", "status": "nonsense"})
    desk.refused(
        desk.ask("POST", "/", 400, json={"resourceType": "Bundle", "type": "transaction", "entry": [good, bad]})
    )
    assert desk.get("/Media?identifier=urn:marks|tx-1").json()["total"] == 0
    desk.bundle("transaction", [good])
    assert desk.get("/Media?identifier=urn:marks|tx-1").json()["total"] == 1


@T.should("trules", "A transaction of nothing is no error.")
def _(desk: Desk) -> None:
    answer = desk.ask("POST", "/", 200, json={"resourceType": "Bundle", "type": "transaction"}).json()
    assert answer["type"] == "transaction-response"


@T.shall("trules", "The order of the entries does not matter: deletes, creates, updates, reads, whatever stands first.")
def _(desk: Desk) -> None:
    for turned in (False, True):
        kept, gone = desk.make(), desk.make()
        entries = [
            entry("GET", f"Media/{kept['id']}"),
            entry("PUT", f"Media/{kept['id']}", {**kept, "partOf": [{"reference": ONE}]}),
            entry("POST", "Media", a_body(), full_url=ONE),
            entry("DELETE", f"Media/{gone['id']}"),
        ]
        answer = desk.bundle("transaction", entries[::-1] if turned else entries)
        answered = answer["entry"][::-1] if turned else answer["entry"]
        assert [each["response"]["status"][:3] for each in answered] == ["200", "200", "201", "204"]
        made = answered[2]["response"]["location"].partition("/fhir/")[2].partition("/_history")[0]
        assert desk.get(f"/Media/{kept['id']}").json()["partOf"] == [{"reference": made}]


@T.shall("trules", "A transaction that names a resource twice fails, found by condition or by id.")
def _(desk: Desk) -> None:
    made = desk.make(identifier=marked("twice"))
    put = entry("PUT", f"Media/{made['id']}", made)
    for other in (put, entry("DELETE", f"Media/{made['id']}"), entry("DELETE", "Media?identifier=urn:marks|twice")):
        body = {"resourceType": "Bundle", "type": "transaction", "entry": [put, other]}
        answer = desk.ask("POST", "/", None, json=body)
        assert 400 <= answer.status_code < 500, answer.text
    assert desk.get(f"/Media/{made['id']}").json()["meta"]["versionId"] == "1"


@T.shall("trules", "References to what the transaction creates are rewritten, round in circles too.")
def _(desk: Desk) -> None:
    answer = desk.bundle(
        "transaction",
        [
            entry("POST", "Media", {**a_body(), "partOf": [{"reference": TWO}]}, full_url=ONE),
            entry("POST", "Media", {**a_body(), "partOf": [{"reference": ONE}]}, full_url=TWO),
        ],
    )
    one, two = (each["response"]["location"].partition("/_history")[0].split("/")[-1] for each in answer["entry"])
    assert desk.get(f"/Media/{one}").json()["partOf"] == [{"reference": f"Media/{two}"}]
    assert desk.get(f"/Media/{two}").json()["partOf"] == [{"reference": f"Media/{one}"}]


@T.shall(
    "trules", "Addresses in elements of type uri and url and in links and images of the narrative are rewritten too."
)
def _(desk: Desk) -> None:
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{ONE}">it</a><img src="{ONE}" alt="it"/></div>'
    extension = [{"url": "urn:x", "valueUri": ONE}, {"url": "urn:y", "valueUrl": ONE}]
    body = a_body(unit=None, text={"status": "generated", "div": div})
    body["extension"] = extension
    answer = desk.bundle(
        "transaction",
        [
            entry("POST", "Media", a_body(), full_url=ONE),
            entry("POST", "Media", body, full_url=TWO),
        ],
    )
    one, two = (each["response"]["location"].partition("/_history")[0].split("/")[-1] for each in answer["entry"])
    stored = desk.get(f"/Media/{two}").json()
    assert stored["text"]["div"].count(f'"Media/{one}"') == 2
    assert [each.get("valueUri", each.get("valueUrl")) for each in stored["extension"]] == [f"Media/{one}"] * 2


@T.should("trules", "Canonical addresses are left as they are.")
def _(desk: Desk) -> None:
    body = {**a_body(unit=None), "extension": [{"url": "urn:x", "valueCanonical": ONE}]}
    answer = desk.bundle(
        "transaction",
        [
            entry("POST", "Media", a_body(), full_url=ONE),
            entry("POST", "Media", body, full_url=TWO),
        ],
    )
    two = answer["entry"][1]["response"]["location"].partition("/_history")[0].split("/")[-1]
    assert desk.get(f"/Media/{two}").json()["extension"] == body["extension"]


@T.shall("trules", "A reference by search becomes the one match; none or several, and the transaction fails.")
def _(desk: Desk) -> None:
    def refer(mark: str) -> list[dict[str, Any]]:
        return [entry("POST", "Media", a_body(partOf=[{"reference": f"Media?identifier=urn:marks|{mark}"}]))]

    one = desk.make(identifier=marked("cr-one"))
    answer = desk.bundle("transaction", refer("cr-one"))
    made = answer["entry"][0]["response"]["location"].partition("/_history")[0].split("/")[-1]
    assert desk.get(f"/Media/{made}").json()["partOf"] == [{"reference": f"Media/{one['id']}"}]
    desk.make(identifier=marked("cr-two"))
    desk.make(identifier=marked("cr-two"))
    for mark in ("cr-none", "cr-two"):
        body = {"resourceType": "Bundle", "type": "transaction", "entry": refer(mark)}
        answer = desk.ask("POST", "/", None, json=body)
        assert 400 <= answer.status_code < 500
        assert answer.json()["resourceType"] == "OperationOutcome"


@T.shall("transaction-response", "The answer has an entry for each entry, in their order, and says which kind it is.")
def _(desk: Desk) -> None:
    for kind in ("batch", "transaction"):
        entries = [entry("GET", "Patient/bo"), entry("POST", "Media", a_body()), entry("GET", "Patient/anna")]
        answer = desk.bundle(kind, entries)
        assert answer["type"] == f"{kind}-response"
        assert [each["response"]["status"][:3] for each in answer["entry"]] == ["200", "201", "200"]
        assert [answer["entry"][place]["resource"]["id"] for place in (0, 2)] == ["bo", "anna"]


@T.shall(
    "transaction-response", "Every entry of the answer tells the status, and where there is one the address and ETag."
)
def _(desk: Desk) -> None:
    (made,) = desk.bundle("transaction", [entry("POST", "Media", a_body())])["entry"]
    assert made["response"]["status"].startswith("201")
    assert made["response"]["etag"] == 'W/"1"'
    assert "/_history/1" in made["response"]["location"]
    assert made["response"]["lastModified"]


@T.shall("transaction-response", "A transaction that failed is answered by one OperationOutcome.")
def _(desk: Desk) -> None:
    body = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [entry("PUT", "Media/never", a("Media", "never"))],
    }
    answer = desk.ask("POST", "/", None, json=body)
    assert answer.status_code >= 400
    assert answer.json()["resourceType"] == "OperationOutcome"


@T.should("ops", "Prefer decides whether the entries of an answer hold resources.")
def _(desk: Desk) -> None:
    for wish, held in (("minimal", False), ("representation", True)):
        (made,) = desk.bundle("transaction", [entry("POST", "Media", a_body())], Prefer=f"return={wish}")["entry"]
        assert ("resource" in made) == held


T.apart(
    "other-bundles",
    "SHOULD",
    "A Bundle of type history posted to the base is replayed.",
    reason="Replaying a history would need ids and versions of another server; `fhirmedia import` is the way in.",
)


@T.should("other-bundles", "Bundles of other types are refused by name.")
def _(desk: Desk) -> None:
    for kind in ("collection", "document", "searchset", "message", "history"):
        body = {"resourceType": "Bundle", "type": kind}
        assert desk.refused(desk.ask("POST", "/", 400, json=body))["expression"][0].startswith("Bundle")


@B.shall("searchset", "A searchset links to itself, and every entry says why it is there.")
def _(desk: Desk) -> None:
    desk.make()
    found = desk.get("/Media?_count=3").json()
    assert found["link"][0]["relation"] == "self"
    assert {each["search"]["mode"] for each in found["entry"]} <= {"match", "include", "outcome"}


@B.shall("bdl-1", "A total stands in searchsets and histories only.")
def _(desk: Desk) -> None:
    assert "total" in desk.get("/Patient/anna/_history").json()
    assert "total" not in desk.bundle("batch", [entry("GET", "Patient/anna")])


@B.shall("bdl-2", "Entries tell of search in a searchset only, of requests and responses elsewhere.")
def _(desk: Desk) -> None:
    desk.make()
    assert all({"request", "response"}.isdisjoint(each) for each in desk.get("/Media?_count=3").json()["entry"])
    history = desk.get("/Patient/anna/_history").json()["entry"]
    assert all({"request", "response"} <= each.keys() and "search" not in each for each in history)
    answered = desk.bundle("batch", [entry("GET", "Patient/anna")])["entry"]
    assert all("response" in each and {"request", "search"}.isdisjoint(each) for each in answered)


@B.shall("bdl-7", "Addresses of entries are unique, or differ in the version of the resource.")
def _(desk: Desk) -> None:
    desk.make()
    found = desk.get("/Media?_count=50&_include=Media:subject").json()["entry"]
    addresses = [each["fullUrl"] for each in found]
    assert len(set(addresses)) == len(addresses)
    history = desk.get("/_history?_count=50").json()["entry"]
    versions = [(each["fullUrl"], each["response"]["etag"]) for each in history]
    assert len(set(versions)) == len(versions)


@B.shall("bdl-8", "The address of an entry names no version.")
def _(desk: Desk) -> None:
    desk.make()
    for path in ("/Media?_count=20", "/_history?_count=20"):
        assert all("/_history/" not in each["fullUrl"] for each in desk.get(path).json()["entry"])


@B.shall("bundle-unique", "The address of an entry is the address of its resource.")
def _(desk: Desk) -> None:
    desk.make()
    for each in desk.get("/Media?_count=20").json()["entry"]:
        assert each["fullUrl"] == f"{desk.served.base}/Media/{each['resource']['id']}"


@B.shall("bdl-3", "What is posted with entries that say nothing of a request is refused, whichever entry it is.")
def _(desk: Desk) -> None:
    body = {"resourceType": "Bundle", "type": "batch", "entry": [entry("GET", "Patient/anna"), {"fullUrl": ONE}]}
    answer = desk.ask("POST", "/", None, json=body)
    assert answer.status_code == 400 or answer.json()["entry"][1]["response"]["status"].startswith("400")


TABLES = (T, B)
