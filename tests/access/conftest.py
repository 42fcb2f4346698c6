"""What tests of access share."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fhirmedia.issuer.trusted import TrustedIssuers, load_issuers
from tests.access.houses import House, furnished, house
from tests.access.issuing import AUDIENCE, parse, row, write_list


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., TrustedIssuers]:
    """The issuers of a list with one row, changed as said."""

    def loaded(**changes: Any) -> TrustedIssuers:
        return load_issuers(write_list(tmp_path, row(**changes)), audience=AUDIENCE, parse=parse)

    return loaded


@pytest.fixture
def living(tmp_path: Path) -> Iterator[House]:
    """An archive that holds the places and patients of `records`."""
    with house(tmp_path / "data") as opened:
        yield opened


def pytest_collection_finish(session: pytest.Session) -> None:
    """Make the folder that archives are copied from before any process is forked off."""
    if any("living" in getattr(item, "fixturenames", ()) for item in session.items):
        furnished()
