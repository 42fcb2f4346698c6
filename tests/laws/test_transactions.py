"""A thousand transactions made by chance do what a simple model says: all or nothing, references right, order right."""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from tests.access.records import places, put
from tests.faults.examine import Examiner
from tests.fhir.bundling import answers, transaction
from tests.laws.bundle_model import Kept, Model, Wish, foresee, some_wishes
from tests.servers import Served, serving

BUNDLES, LONG_BUNDLES, PER_HOUSE = 1_000, 20_000, 250


def stored(served: Served) -> dict[str, Kept]:
    """What the folder holds of live Patients and Media, read past the program."""
    query = (
        "SELECT type || '/' || id, body FROM record_version v WHERE type IN ('Patient', 'Media') AND method <> 'delete'"
        " AND NOT EXISTS (SELECT 1 FROM record_version n"
        " WHERE n.type = v.type AND n.id = v.id AND n.version > v.version)"
    )
    found = {}
    with closing(sqlite3.connect(f"file:{served.folder / 'records.db'}?mode=ro", uri=True)) as database:
        for key, text in database.execute(query):
            body: dict[str, Any] = json.loads(text)
            number = body.get("identifier", [{}])[0].get("value", "")
            note = body.get("note", [{}])[0].get("text", "")
            found[key] = Kept(number, body.get("subject", {}).get("reference"), note)
    return found


def named(
    model: Model, wishes: list[Wish], response: httpx.Response, served: Served
) -> tuple[list[int], dict[str, str]]:
    """The statuses, and the Key the server gave each label."""
    told = answers(response)
    names = {}
    for wish, each in zip(wishes, told, strict=True):
        if "location" in each:
            names[wish.made] = "/".join(each["location"].removeprefix(f"{served.base}/").split("/")[:2])
    return [int(each["status"][:3]) for each in told], names


def check(served: Served, headers: dict[str, str], model: Model, wishes: list[Wish]) -> str:
    """Post the wishes and hold the outcome against the model, which is brought up to date; says how it went."""
    foreseen = foresee(model, wishes)
    response = served.http.post(served.base, json=transaction(*(wish.entry() for wish in wishes)), headers=headers)
    said = f"{wishes}\n{response.text}"
    if foreseen.fails:
        assert 400 <= response.status_code < 500, said
        assert stored(served) == model.there, said
        return f"refused {response.status_code}"
    assert response.status_code == 200, said
    statuses, names = named(model, wishes, response, served)
    assert statuses == foreseen.statuses, said
    for wish, key in zip(wishes, foreseen.keys, strict=True):
        assert wish.method == "DELETE" or names[wish.made] == (names[key] if "/" not in key else key), said
    model.there = {
        names.get(key, key): Kept(kept.number, kept.about and names.get(kept.about, kept.about), kept.note)
        for key, kept in foreseen.after.items()
    }
    assert stored(served) == model.there, said
    return "done"


@pytest.mark.parametrize("house", range(BUNDLES // PER_HOUSE))
def test_transactions_are_what_the_model_says(
    tmp_path: Path, house: int, full_counts: bool, record_property: Callable[[str, object], None]
) -> None:
    outcomes: Counter[str] = Counter()
    for lot in range(LONG_BUNDLES // BUNDLES if full_counts else 1):
        outcomes += lived(tmp_path / str(lot), seed=house + lot * BUNDLES // PER_HOUSE)
    for outcome, count in outcomes.items():
        record_property(f"bundles {outcome}", count)
    assert outcomes["done"] > sum(outcomes.values()) // 3
    assert sum(count for outcome, count in outcomes.items() if outcome != "done") > sum(outcomes.values()) // 10


def lived(folder: Path, *, seed: int) -> Counter[str]:
    """How PER_HOUSE bundles went in an archive that was empty; its Patients stay, so none lives for longer."""
    outcomes: Counter[str] = Counter()
    with serving(folder) as served:
        put(served, *places())
        random, model, headers = Random(seed), Model(stored(served)), served.headers()
        for _ in range(PER_HOUSE):
            wishes = some_wishes(random, model)
            if len(model.there) > 60:
                wishes = [Wish("DELETE", "Media", key, key) for key in model.of("Media")[:30]]
            outcomes[check(served, headers, model, wishes)] += 1
    examiner = Examiner(folder)
    assert [*examiner.look([]), *examiner.look_for_halves(), *examiner.look_everywhere()] == []
    return outcomes


def test_the_order_of_the_entries_changes_nothing(tmp_path: Path) -> None:
    """The same wishes shuffled come to the same, in two archives with the same history."""
    with serving(tmp_path / "one") as one, serving(tmp_path / "other") as other:
        random = Random(5)
        models = []
        for served in (one, other):
            put(served, *places())
            models.append(Model(stored(served)))
        for _ in range(60):
            wishes = [each for each in some_wishes(random, models[0]) if each.key is None]
            wishes = [each for each in wishes if "/" not in (each.about or "")]
            shuffled = random.sample(wishes, len(wishes))
            told = [
                check(served, served.headers(), model, order)
                for served, model, order in ((one, models[0], wishes), (other, models[1], shuffled))
            ]
            assert told[0][:4] == told[1][:4]
            counts = [Counter((kept.number, kept.note) for kept in model.there.values()) for model in models]
            assert counts[0] == counts[1]
