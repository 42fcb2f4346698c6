"""What holds for every test: random order, a zone that is not UTC, bounded or full counts, figures at the end."""

import os
import re
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.services import (  # noqa: F401  # fixtures for every suite
    elasticsearch_address,
    end_servers,
    index_address,
    module_index_address,
)

SEARCH_ENGINE = re.compile(r"::\w+\[(evaluator|memory|sqlite-without-words|sqlite|database|elasticsearch)[-\]]")
"""Of which engine a test tells by its first parameter."""

LONG = os.environ.get("FHIRMEDIA_LONG") == "1"
"""`scripts/test --long`: full counts."""

settings.register_profile(
    "short", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("long", settings.get_profile("short"), max_examples=2_000)
settings.register_profile(
    "mutants",
    settings.get_profile("short"),
    max_examples=60,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
)
settings.load_profile("long" if LONG else "short")

# POSIX form: needs no zone files on the machine. Whoever reads the machine's zone by mistake is off by 5 h 45 min.
os.environ["TZ"] = "<+0545>-05:45"
time.tzset()


def filesystem_of(folder: Path) -> str:
    """The type of the filesystem a folder lies on, as the kernel names it."""
    best, kind = "", ""
    for line in Path("/proc/mounts").read_text().splitlines():
        _device, place, type_name, *_ = line.split()
        inside = folder.is_relative_to(place)
        if inside and len(place) >= len(best):
            best, kind = place, type_name
    return kind


def pytest_configure(config: pytest.Config) -> None:
    """Allow data folders in memory where the tests' folders are in memory, and nowhere else.

    What a shell runs in the background is deaf to SIGINT, and so would be the programs that tests interrupt.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    place = Path(config.getoption("basetemp", None) or tempfile.gettempdir()).resolve()
    if filesystem_of(place) == "tmpfs":
        os.environ["FHIRMEDIA_ALLOW_VOLATILE_STORAGE"] = "1"


def pytest_report_header() -> list[str]:
    """Say what is unusual about this run."""
    said = ["full counts (--long)" if LONG else "short counts; scripts/test --long runs the full ones"]
    if os.environ.get("FHIRMEDIA_ALLOW_VOLATILE_STORAGE") == "1":
        said.append("test folders are in memory: FHIRMEDIA_ALLOW_VOLATILE_STORAGE is set for the tests")
    return said


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long tests to --long."""
    if LONG:
        return
    kept = [item for item in items if item.get_closest_marker("long") is None]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End real servers that this run was the last to use."""
    if not hasattr(session.config, "workerinput"):
        end_servers()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print every figure a test gave to `record_property`, and how many tests each search engine ran or was spared."""
    rows = [
        (report.nodeid.rpartition("::")[2], name, value)
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, value in report.user_properties
    ]
    if rows:
        terminalreporter.section("figures")
        for test, name, value in sorted(rows, key=str):
            terminalreporter.write_line(f"{test}: {name} = {value}")
    engines = _of_each_engine(terminalreporter)
    if engines:
        terminalreporter.section("search engines")
        for engine, counted in sorted(engines.items()):
            terminalreporter.write_line(f"{engine}: {counted['run']} run, {counted['skipped']} skipped")


def _of_each_engine(terminalreporter: pytest.TerminalReporter) -> dict[str, Counter[str]]:
    """Tests that are parametrised over search engines, by the engine's name, as run or skipped."""
    counted: dict[str, Counter[str]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if not isinstance(report, pytest.TestReport) or (report.when != "call" and not report.skipped):
                continue
            engine = SEARCH_ENGINE.search(report.nodeid)
            if engine:
                counted.setdefault(engine[1], Counter())["skipped" if report.skipped else "run"] += 1
    return counted


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio."""
    return "asyncio"


@pytest.fixture
def full_counts() -> bool:
    """Whether full counts are asked for."""
    return LONG
