"""Servers killed at any moment under load lose nothing they acknowledged, and leave nothing half.

The clients keep a ledger of what they were told, synced after each answer. Servers are forked from a warm process; the
shim tells in which call each of them died. Both controls break an order in a test copy and must be found out.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.campaign import Outcome, campaign
from tests.faults.spoiling import answer_before_audit, bytes_after_record

Property = Callable[[str, object], None]
KILLS, LONG_ROUNDS, LONG_KILLS = 205, 25, 410


def test_kills_lose_nothing_acknowledged(tmp_path: Path, full_counts: bool, record_property: Property) -> None:
    total = Outcome()
    for number in range(LONG_ROUNDS if full_counts else 1):
        place = tmp_path / str(number)
        place.mkdir()
        one = asyncio.run(campaign(place, LONG_KILLS if full_counts else KILLS, seed=number))
        assert one.problems == []
        assert one.unexpected == Counter()
        total.kills += one.kills
        total.in_flight += one.in_flight
        total.acknowledged += one.acknowledged
        total.phases += one.phases
    record_property("kills", total.kills)
    record_property("kills with a write in flight", total.in_flight)
    record_property("acknowledgements", total.acknowledged)
    record_property("died in", ", ".join(f"{phase} {count}" for phase, count in total.phases.most_common()))
    assert total.kills >= (10_000 if full_counts else 200)
    assert total.in_flight >= total.kills * 3 // 4
    assert total.acknowledged > total.kills
    for place_of_danger in ("sync received bytes", "sync objects", "sync records log", "sync audit log"):
        assert total.phases[place_of_danger] > 0


@pytest.mark.parametrize(
    ("broken", "problem"),
    [("bytes after their record", "whose bytes are not there"), ("answers before their audit", "without a row")],
)
def test_a_broken_order_is_noticed(broken: str, problem: str, tmp_path: Path, record_property: Property) -> None:
    words = {
        "bytes after their record": f"FileObjectStore={bytes_after_record(tmp_path)}",
        "answers before their audit": f"DisclosureLogSql={answer_before_audit(tmp_path)}",
    }
    outcome = asyncio.run(campaign(tmp_path, 40, words[broken], until_red=True))
    assert any(problem in each for each in outcome.problems)
    record_property(f"{broken}: kills until noticed", outcome.kills)
