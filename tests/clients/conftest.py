"""What the clients find on the server they drive."""

from collections.abc import Iterator

import pytest

from tests.access.records import a, identifier, places, put
from tests.servers import Served, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Anna, two departments, and seven pictures to turn pages over."""
    mark = [{**identifier("page")[0], "system": "urn:marks"}]
    with serving(tmp_path_factory.mktemp("clients") / "data") as server:
        put(server, *places())
        put(server, *(a("Media", f"page-{n}", identifier=mark, createdDateTime=f"202{n}") for n in range(7)))
        yield server
