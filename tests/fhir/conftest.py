"""What tests of the running server share: one server for each file."""

from collections.abc import Iterator

import pytest

from tests.access.records import places, put
from tests.servers import Served, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with Anna and Bo, two departments and a physician."""
    with serving(tmp_path_factory.mktemp("served") / "data") as server:
        put(server, *places())
        yield server
