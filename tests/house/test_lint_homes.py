"""The homes lint finds a library outside its home, however it is imported."""

import pytest

from scripts.lint_homes import findings, module_name

HOMES: dict[str, tuple[str, ...]] = {
    "jose": ("issuer.jose",),
    "numpy": ("demo",),
    "sqlite3": ("backends",),
    "http.client": (),
}


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("issuer.tokens", "from jose import jwt"),
        ("issuer.josef", "import jose"),
        ("web.errors", "def f():\n    import numpy as n"),
        ("custody.session", "import sqlite3"),
        ("web.errors", "from http import client"),
        ("web.errors", "import importlib\nimportlib.import_module('numpy.random')"),
        ("web.errors", "__import__(chosen)"),
        ("web.errors", "import unheard_of"),
        ("web.errors", "if TYPE_CHECKING:\n    from jose import jwt"),
    ],
)
def test_a_library_outside_its_home_is_found(module: str, source: str) -> None:
    assert list(findings(module, source, homes=HOMES))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("issuer.jose", "from jose import jwt"),
        ("demo.pictures", "import numpy as np\nfrom numpy.random import default_rng"),
        ("backends.records_sql", "import sqlite3"),
        ("web.errors", "import json, http\nfrom fhirmedia.core.errors import Failure"),
        ("web.errors", "from importlib import import_module\nimport_module('fhirmedia.backends.x')"),
        ("cli.main", "importlib.import_module(f'fhirmedia.cli.{command}_command')"),
    ],
)
def test_a_library_at_home_passes(module: str, source: str) -> None:
    assert not list(findings(module, source, homes=HOMES))


def test_modules_are_named_from_their_paths() -> None:
    assert module_name("fhirmedia/web/errors.py") == "web.errors"
    assert module_name("fhirmedia/web/__init__.py") == "web"
    assert module_name("fhirmedia/__init__.py") == ""
