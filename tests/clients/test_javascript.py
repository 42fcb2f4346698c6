"""Two published JavaScript clients drive the running server: fhir-kit-client, and SMART's own client."""

import os
from collections.abc import Callable

import pytest

from tests.clients.node import Step, Unreachable, names, run
from tests.media.pictures import encoded, photo
from tests.servers import Served

PROGRAMS = ("fhir_kit_client.mjs", "smart_javascript.mjs")
Ran = Callable[[str], dict[str, Step]]


@pytest.fixture(scope="module")
def ran(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The steps of a program by name; each program runs once."""
    picture = tmp_path_factory.mktemp("picture") / "picture.png"
    picture.write_bytes(encoded(photo(), "PNG"))
    done: dict[str, dict[str, Step]] = {}

    def steps(program: str) -> dict[str, Step]:
        if program not in done:
            token = served.token("user/*.cruds")
            environment = {"FHIR_BASE": served.base, "FHIR_TOKEN": token, "FHIR_PICTURE": str(picture)}
            try:
                done[program] = {step.name: step for step in run(program, environment)}
            except Unreachable as problem:
                if os.environ.get("CI"):
                    raise
                pytest.skip(f"the clients are not installed and npm cannot fetch them: {problem}")
        return done[program]

    return steps


@pytest.mark.parametrize(("program", "step"), [(program, step) for program in PROGRAMS for step in names(program)])
def test_step(ran: Ran, program: str, step: str) -> None:
    done = ran(program)[step]
    assert done.problem is None, done.problem


def test_no_step_is_left_out(ran: Ran) -> None:
    needed = {"create", "search", "paging", "patch", "transaction", "upload"}
    for program in PROGRAMS:
        assert set(ran(program)) == set(names(program)) >= needed
