"""The house lint finds what style forbids and leaves honest code alone."""

import textwrap

import pytest

from scripts.lint_house import findings

DOC = '"""A reason."""\n'

BAD = [
    ("opening", "fhirmedia/core/x.py", "import os\n"),
    ("opening", "fhirmedia/core/x.py", '\n"""Too late."""\n'),
    ("opening", "tests/laws/x.py", "import os\n"),
    ("opening", "fhirmedia/core/__init__.py", ""),
    ("names", "fhirmedia/core/utils.py", DOC),
    ("names", "fhirmedia/custody/media_repository.py", DOC),
    ("names", "fhirmedia/services/__init__.py", DOC),
    ("names", "fhirmedia/core/x.py", DOC + "class SessionManager: ...\n"),
    ("names", "fhirmedia/core/x.py", DOC + "class HTTPHelper: ...\n"),
    ("names", "fhirmedia/core/x.py", DOC + "class StoreBase: ...\n"),
    ("reach", "fhirmedia/core/x.py", DOC + "def f(store): return store._rows\n"),
    ("reach", "fhirmedia/core/x.py", DOC + "class A:\n    def f(self): return self.other._rows\n"),
    ("reach", "fhirmedia/core/x.py", DOC + "from fhirmedia.core.y import _secret\n"),
    ("reach", "fhirmedia/core/x.py", DOC + "def f(store):\n    store._rows = 1  # reach: lazy\n"),
    ("unscoped", "fhirmedia/custody/x.py", DOC + "who = Caller.system('sweep')\n"),
    ("unscoped", "fhirmedia/cli/x.py", DOC + "who = Caller.system('sweep')  # unscoped:\n"),
    ("unscoped-place", "fhirmedia/web/x.py", DOC + "who = Caller.system('a')  # unscoped: it is easier so\n"),
    ("http-number", "fhirmedia/custody/x.py", DOC + "raise Problem(404)\n"),
    ("http-number", "fhirmedia/interactions/x.py", DOC + "from http import HTTPStatus\n"),
    ("http-number", "fhirmedia/custody/x.py", DOC + "from fastapi import HTTPException\n"),
    ("http-number", "fhirmedia/web/x.py", DOC + "raise HTTPException(status_code=400)\n"),
    ("depends", "fhirmedia/web/x.py", DOC + "from fastapi import Depends\n"),
    ("depends", "fhirmedia/web/x.py", DOC + "def f(a=fastapi.Depends(g)): ...\n"),
    ("deserialise", "fhirmedia/core/x.py", DOC + "import pickle\n"),
    ("deserialise", "fhirmedia/core/x.py", DOC + "from torch.nn import Linear\n"),
    ("deserialise", "fhirmedia/core/x.py", DOC + "def f(t): return eval(t)\n"),
    ("deserialise", "fhirmedia/core/x.py", DOC + "def f(t): return yaml.load(t)\n"),
    ("clock", "fhirmedia/web/x.py", DOC + "now = time.time()\n"),
    ("clock", "fhirmedia/web/x.py", DOC + "now = datetime.datetime.now(UTC)\n"),
    ("clock", "fhirmedia/web/x.py", DOC + "now = date.today()\n"),
    ("clock", "fhirmedia/web/x.py", DOC + "from time import time\n"),
    ("error-text", "fhirmedia/r4/x.py", DOC + "try: f()\nexcept E as e: raise Failure(C.INVALID, str(e)) from e\n"),
    ("error-text", "fhirmedia/r4/x.py", DOC + "try: f()\nexcept E as e: raise Failure(C.INVALID, f'no: {e}') from e\n"),
    ("error-text", "fhirmedia/r4/x.py", DOC + "try: f()\nexcept E as e: log.warning('%s', repr(e))\n"),
    ("error-text", "fhirmedia/r4/x.py", DOC + "try: f()\nexcept E: log.warning('broken', exc_info=True)\n"),
    ("error-text", "fhirmedia/r4/x.py", DOC + "try: f()\nexcept E: logger.exception('broken')\n"),
    ("error-text", "fhirmedia/r4/x.py", DOC + "try: f()\nexcept E: print(traceback.format_exc())\n"),
    ("type-name", "fhirmedia/web/x.py", DOC + "if kind == 'Media': f()\n"),
    ("type-name", "fhirmedia/web/x.py", DOC + "key = f'Patient/{identity}'\n"),
    ("type-name", "fhirmedia/r4/x.py", DOC + "match kind:\n    case 'Observation': f()\n"),
    ("type-name", "fhirmedia/r4/x.py", DOC + "header['Location'] = f()\n"),
    ("reason", "fhirmedia/r4/x.py", DOC + "x = f()  # type: ignore[arg-type]\n"),
    ("reason", "tests/laws/x.py", DOC + "x = f()  # noqa: S101\n"),
    ("reason", "fhirmedia/r4/x.py", DOC + "if x:  # pragma: no cover\n    f()\n"),
    ("reason", "fhirmedia/r4/x.py", DOC + "# mypy: disable-error-code=misc\n"),
    ("unfinished", "scripts/x.py", DOC + "# TODO: more of it\n"),
    ("unfinished", "fhirmedia/webapp/x.js", "// FIXME later\n"),
    ("machine-path", "README.md", "cd /{}/fhirmedia\n".format("root")),
    ("machine-path", "docker-compose.yml", "volumes: [/home/anna/data:/data]\n"),
    ("registry", "Dockerfile", "RUN pip install --index-url https://{}.org/simple x\n".format("pypi")),
    ("length", "fhirmedia/web/x.py", DOC + "f()\n" * 400),
    ("length", "scripts/bench", "f\n" * 401),
    ("syntax", "fhirmedia/web/x.py", "def f(:\n"),
]

GOOD = [
    (
        "fhirmedia/core/x.py",
        DOC + "class A:\n    def f(self): return self._rows, type(self)._all, super()._rows, A._all\n",
    ),
    ("fhirmedia/core/x.py", DOC + "def f(row): return row._replace(a=1), member._value_, obj.__dict__\n"),
    ("fhirmedia/core/x.py", DOC + "def f(store):\n    return store._rows  # reach: the driver has no other door\n"),
    ("fhirmedia/core/base64_text.py", DOC + "class Baseline: ...\nclass Serviceable: ...\n"),
    ("fhirmedia/custody/x.py", DOC + "who = Caller.system('sweep')  # unscoped: the sweeper owns no patient\n"),
    (
        "fhirmedia/custody/x.py",
        DOC + "# unscoped: the sweeper owns no patient\nwho = Caller.system(\n    'sweep',\n)\n",
    ),
    ("fhirmedia/web/x.py", DOC + "STATUS = {Category.NOT_FOUND: 404, Category.CONFLICT: 409}\n"),
    ("fhirmedia/custody/x.py", DOC + "PAGE = 50\nLIMIT = 200\nBIG = 500\n"),
    ("fhirmedia/custody/x.py", DOC + "WIDTH = 404  # http-number: pixels of a thumbnail row\n"),
    ("fhirmedia/issuer/x.py", DOC + "import http.client\ntry: f()\nexcept http.client.HTTPException: g()\n"),
    ("fhirmedia/core/x.py", DOC + "PATTERN = re.compile('x')\nvalue = yaml.safe_load('a')\n"),
    ("fhirmedia/core/clock.py", DOC + "def now() -> int: return time.time_ns()\n"),
    ("fhirmedia/web/x.py", DOC + "started = time.perf_counter()\nthen = datetime.fromtimestamp(3, UTC)\n"),
    ("fhirmedia/r4/x.py", DOC + "try: f()\nexcept E as e: raise Failure(C.INVALID, 'not a date') from e\n"),
    ("fhirmedia/r4/x.py", DOC + "try: f()\nexcept E as e: raise Failure(e.category, issues=e.issues) from e\n"),
    ("fhirmedia/r4/x.py", DOC + "key = 'Patient'  # type-name: SMART binds tokens to a patient\n"),
    ("fhirmedia/r4/x.py", DOC + "# type-name: the types whose rows this table holds\nTABLE = {\n    'Media': 1,\n}\n"),
    ("fhirmedia/r4/x.py", '"""Media are fine in prose."""\nkind = "Bundle"\ntext = "Media and more"\n'),
    ("fhirmedia/web/x.py", DOC + "header['Location'] = f()\n"),
    ("fhirmedia/demo/x.py", DOC + "kind = 'Media'\n"),
    ("fhirmedia/r4/x.py", DOC + "x = f()  # type: ignore[arg-type]  # the stub lags behind the library\n"),
    ("fhirmedia/r4/x.py", DOC + "text = '# TO' 'DO'  # noqa: ISC001  # the word itself is banned\n"),
    ("tests/laws/x.py", DOC + "def test_a(store): assert store._rows and eval('1')\n"),
    ("scripts/x.py", "#!/usr/bin/env python3\n" + DOC),
    ("docker-compose.yml", "tmpfs: [/tmp]\n"),
]


@pytest.mark.parametrize(("rule", "path", "source"), BAD)
def test_a_breach_is_found(rule: str, path: str, source: str) -> None:
    assert rule in {finding.rule for finding in findings(path, source)}


@pytest.mark.parametrize(("path", "source"), GOOD)
def test_honest_code_passes(path: str, source: str) -> None:
    assert findings(path, source) == []


def test_a_finding_names_its_line() -> None:
    source = DOC + textwrap.dedent("""
        def f(store):
            a = 1
            return store._rows
    """)
    assert [(finding.line, finding.rule) for finding in findings("fhirmedia/core/x.py", source)] == [(5, "reach")]


def test_an_excuse_of_one_rule_is_none_for_another() -> None:
    source = DOC + "x = store._rows  # type-name: this is another matter\n"
    assert [finding.rule for finding in findings("fhirmedia/core/x.py", source)] == ["reach"]
