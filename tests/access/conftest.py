"""What tests of access share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fhirmedia.issuer.trusted import TrustedIssuers, load_issuers
from tests.access.issuing import AUDIENCE, parse, row, write_list


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., TrustedIssuers]:
    """The issuers of a list with one row, changed as said."""

    def loaded(**changes: Any) -> TrustedIssuers:
        return load_issuers(write_list(tmp_path, row(**changes)), audience=AUDIENCE, parse=parse)

    return loaded
