"""Every route of the application, with every served type and every kind of caller, gives its declared answer."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from fhirmedia.r4.registry import load_registry
from fhirmedia.web.routing import PUBLIC, PublicRoute, TemplatedRoute
from tests.access.enumeration import ANSWERS, CLASSES, ROUTES, answers, flattened, furnish, policies
from tests.servers import Served, serving

ROUTE_COUNT = 76
"""Methods and paths together, HEAD included: a new route changes this number and has to be declared."""

WITHOUT_TYPE = {"public", "bundle", "history-system", "search-system"} | {
    f"{each}-{place}" for each in ("stats", "explain") for place in ("system", "compartment")
}
HIDDEN_FROM = {"other-patient": "anna-", "other-unit": "anna-derm"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> object:
    with serving(tmp_path_factory.mktemp("enumeration") / "data") as server:
        furnish(server)
        yield server


def test_every_route_is_declared(served: Served) -> None:
    found = flattened(served.app)
    assert len(found) == ROUTE_COUNT
    assert len(set(found)) == ROUTE_COUNT
    assert {route for route in found if route[0] != "HEAD"} == set(ROUTES)
    assert {path for method, path in found if method == "HEAD"} == {path for method, path in found if method == "GET"}


def test_every_type_and_interaction_is_declared() -> None:
    types = load_registry().types
    classified = Counter(each for members in CLASSES.values() for each in members)
    assert classified == Counter(list(types))
    for interaction in set(ROUTES.values()) - WITHOUT_TYPE:
        assert policies(interaction).keys() >= types.keys(), interaction
    assert set(ANSWERS) == set(ROUTES.values())
    interactions = {each for served in types.values() for each in served.interactions}
    declared = {"history-instance" if name == "history" else name for name in ANSWERS}
    assert interactions <= declared


def test_what_is_public_is_a_list(served: Served) -> None:
    assert {path for (_, path), interaction in ROUTES.items() if interaction == "public"} == PUBLIC
    with pytest.raises(Exception, match="list of public"):
        PublicRoute("/fhir/{type}", lambda _request: None, methods=["GET"])
    for method, path in flattened(served.app):
        if path not in PUBLIC:
            address = served.base.removesuffix("/fhir") + path.format(type="Media", id="x", version=1, compartment="P")
            refused = served.http.request(method, address)
            assert refused.status_code == 401, (method, path)
            assert refused.headers["www-authenticate"].startswith("Bearer"), (method, path)


def test_each_caller_gets_the_declared_answer(served: Served, record_property: Callable[[str, object], None]) -> None:
    wrong, count = [], 0
    for answer in answers(served):
        count += 1
        if answer.response.status_code != answer.expected:
            wrong.append(f"{answer}: {answer.response.status_code}, declared {answer.expected}")
        hidden = HIDDEN_FROM.get(answer.kind)
        if hidden and answer.expected == 200 and hidden in answer.response.text:
            wrong.append(f"{answer}: shows what is hidden from this caller")
    record_property("requests", count)
    assert wrong == []


def test_what_is_no_route_is_nothing(served: Served) -> None:
    headers = served.headers()
    for method, path in (("GET", "/"), ("GET", "/docs/"), ("GET", "/redoc"), ("GET", "/fhir/a/b/c/d/e")):
        answer = served.http.request(method, served.base.removesuffix("/fhir") + path, headers=headers)
        assert answer.status_code == 404, path
        assert answer.json()["resourceType"] == "OperationOutcome"
    for method in ("TRACE", "OPTIONS"):
        assert served.http.request(method, f"{served.base}/Media/anna-derm", headers=headers).status_code == 405


def test_a_route_is_open_to_anybody_only_by_its_class(served: Served, tmp_path: Path) -> None:
    app = served.app
    while not hasattr(app, "router"):
        app = app._app
    for route in app.router.routes:
        assert isinstance(route, TemplatedRoute)
        assert isinstance(route, PublicRoute) == (route.path in PUBLIC)
