"""history of a type and of everything: order, since when, what was current at a time, pages, and following changes."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, unquote

import httpx
import pytest

from fhirmedia.core.clock import instant
from tests.access.records import a, places, put
from tests.access.worlds import MINUTE, MORNING, Hands
from tests.fhir.rest import Body, created, link, pages, refusal
from tests.servers import Served, serving

README = Path(__file__).parents[2] / "README.md"
LONG_AGO = "2000-01-01T00:00:00Z"


@pytest.fixture
def timed(tmp_path: Path) -> Iterator[tuple[Served, Hands]]:
    """A server whose clock is moved by hand, with the places in it."""
    hands = Hands()
    with serving(tmp_path / "data", clock=hands) as server:
        put(server, *places())
        yield server, hands


def get(served: Served, path: str, headers: dict[str, str] | None = None) -> Body:
    response = served.http.get(f"{served.base}/{path}", headers=headers or served.headers())
    assert response.status_code == 200, response.text
    body: Body = response.json()
    return body


def told(bundle: Body) -> list[str]:
    """Each entry as `Media/m/2`."""
    return [
        each["fullUrl"].rpartition("/fhir/")[2] + "/" + each["response"]["etag"].strip('W/"')
        for each in bundle.get("entry", ())
    ]


def at(minute: float) -> str:
    return instant(MORNING + int(minute * MINUTE))


@pytest.fixture
def eventful(timed: tuple[Served, Hands]) -> Served:
    """Changes at minutes 10 to 60: one made, one made and changed, one made and deleted, one elsewhere."""
    served, hands = timed
    steps: list[Callable[[], object]] = [
        lambda: put(served, a("Media", "m")),
        lambda: put(served, a("Encounter", "e")),
        lambda: put(served, a("Media", "n", unit="eyes")),
        lambda: put(served, a("Media", "m", deviceName="changed")),
        lambda: served.http.delete(f"{served.base}/Media/n", headers=served.importer()),
        lambda: put(served, a("Media", "o", of="bo")),
    ]
    for number, step in enumerate(steps, start=1):
        hands.now = MORNING + number * 10 * MINUTE
        step()
    hands.now = MORNING + 70 * MINUTE
    return served


def test_of_a_type_newest_first(eventful: Served) -> None:
    bundle = get(eventful, "Media/_history")
    assert (bundle["type"], bundle["total"]) == ("history", 5)
    assert told(bundle) == ["Media/o/1", "Media/n/2", "Media/m/2", "Media/n/1", "Media/m/1"]
    assert bundle["entry"][1]["request"] == {"method": "DELETE", "url": "Media/n"}
    assert link(bundle, "self") == f"{eventful.base}/Media/_history?_count=50"
    assert link(bundle, "next") is None


def test_of_everything_newest_first(eventful: Served) -> None:
    everything = told(get(eventful, "_history"))
    assert everything[:6] == ["Media/o/1", "Media/n/2", "Media/m/2", "Media/n/1", "Encounter/e/1", "Media/m/1"]
    assert sorted(everything[6:]) == sorted(f"{each['resourceType']}/{each['id']}/1" for each in places())


def test_pages_of_everything_meet_each_version_once(eventful: Served) -> None:
    whole = told(get(eventful, "_history"))
    for count in (1, 2, 5):
        walked = list(pages(eventful, f"{eventful.base}/_history?_count={count}", eventful.headers()))
        assert [each for page in walked for each in told(page)] == whole
        assert {page["total"] for page in walked} == {len(whole)}
        assert all(len(page["entry"]) == count for page in walked[:-1])


def test_what_is_written_during_a_walk_is_not_met(eventful: Served) -> None:
    whole = told(get(eventful, "Media/_history"))
    walked: list[str] = []
    for page in pages(eventful, f"{eventful.base}/Media/_history?_count=2", eventful.headers()):
        walked += told(page)
        put(eventful, a("Media", f"late-{len(walked)}"))
    assert walked == whole


@pytest.mark.parametrize(
    ("edge", "shown", "is_early"),
    [
        ("0001-01-01T01:01:00%2B14:00", "0001-01-01T00:00:00.000Z", True),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z", True),
        ("9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59.999Z", False),
    ],
)
def test_the_ends_of_time_are_moments_like_others(eventful: Served, edge: str, shown: str, is_early: bool) -> None:
    bundle = get(eventful, f"Media/_history?_since={edge}")
    assert told(bundle) == (told(get(eventful, "Media/_history")) if is_early else [])
    self_link = link(bundle, "self")
    assert self_link is not None
    assert shown in unquote(self_link)
    assert get(eventful, f"_history?_at={edge}")["resourceType"] == "Bundle"
    everything = get(eventful, f"Patient/anna/$everything?_since={edge}")
    assert ("entry" in everything) is is_early
    for name in ("start", "end"):
        assert get(eventful, f"Patient/anna/$everything?{name}={edge}")["resourceType"] == "Bundle"
    for prefix in ("ge", "lt", "ap"):
        assert get(eventful, f"Media?_lastUpdated={prefix}{edge}")["resourceType"] == "Bundle"


def test_since_is_inclusive(eventful: Served) -> None:
    assert told(get(eventful, f"Media/_history?_since={at(40)}")) == ["Media/o/1", "Media/n/2", "Media/m/2"]
    assert told(get(eventful, f"Media/_history?_since={instant(MORNING + 40 * MINUTE + 1)}")) == [
        "Media/o/1",
        "Media/n/2",
    ]
    assert told(get(eventful, f"Media/m/_history?_since={at(40)}")) == ["Media/m/2"]
    assert told(get(eventful, f"_history?_since={at(71)}")) == []
    assert get(eventful, f"Media/_history?_since={at(40)}")["total"] == 3
    paged = pages(eventful, f"{eventful.base}/_history?_count=1&_since={at(40)}", eventful.headers())
    assert [each for page in paged for each in told(page)] == ["Media/o/1", "Media/n/2", "Media/m/2"]


def test_an_offset_may_have_lost_its_plus(eventful: Served) -> None:
    berlin = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime((MORNING + 100 * MINUTE) / 1000))
    assert told(get(eventful, f"Media/_history?_since={berlin}+01:00")) == ["Media/o/1", "Media/n/2", "Media/m/2"]


def test_at_a_moment_is_what_was_current_then(eventful: Served) -> None:
    assert told(get(eventful, f"Media/_history?_at={at(5)}")) == []
    assert told(get(eventful, f"Media/_history?_at={at(35)}")) == ["Media/n/1", "Media/m/1"]
    assert told(get(eventful, f"Media/_history?_at={at(45)}")) == ["Media/m/2", "Media/n/1"]
    assert told(get(eventful, f"Media/_history?_at={at(55)}")) == ["Media/m/2"]
    assert told(get(eventful, f"Media/_history?_at={at(65)}")) == ["Media/o/1", "Media/m/2"]
    assert told(get(eventful, f"Media/m/_history?_at={at(40)}")) == ["Media/m/2"]
    assert told(get(eventful, f"Media/n/_history?_at={at(50)}")) == ["Media/n/2"]
    assert told(get(eventful, f"Media/n/_history?_at={at(51)}")) == []


def test_at_a_period_is_what_was_current_during_it(eventful: Served) -> None:
    day = time.strftime("%Y-%m-%d", time.gmtime(MORNING / 1000))
    everything = told(get(eventful, "Media/_history"))
    assert told(get(eventful, f"Media/_history?_at={day}")) == everything
    assert told(get(eventful, f"Media/_history?_at={day[:4]}")) == everything
    assert told(get(eventful, "Media/_history?_at=2024")) == []
    assert told(get(eventful, f"Media/_history?_at={at(40)[:16]}Z")) == ["Media/m/2", "Media/n/1", "Media/m/1"]
    assert told(get(eventful, f"Media/_history?_at=2100&_since={at(60)}")) == ["Media/o/1"]


def test_a_count_of_none_asks_for_the_total(eventful: Served) -> None:
    bundle = get(eventful, "Media/_history?_count=0")
    assert (bundle["total"], bundle.get("entry"), link(bundle, "next")) == (5, None, None)


def test_each_sees_its_own_and_is_counted_its_own(eventful: Served) -> None:
    derm = eventful.headers("user/*.rs", units=["derm"])
    assert told(get(eventful, "Media/_history", derm)) == ["Media/o/1", "Media/m/2", "Media/m/1"]
    assert get(eventful, "Media/_history", derm)["total"] == 3
    anna = eventful.headers("patient/*.rs", patient="anna")
    assert told(get(eventful, "_history", anna)) == [
        "Media/n/2", "Media/m/2", "Media/n/1", "Encounter/e/1", "Media/m/1", "Patient/anna/1",
    ]  # fmt: skip
    only = eventful.headers("user/Encounter.rs")
    assert told(get(eventful, "_history", only)) == ["Encounter/e/1"]
    refusal(eventful.http.get(f"{eventful.base}/Media/_history", headers=only), 403)
    for scope in ("user/Media.r", "user/Media.s"):
        refusal(eventful.http.get(f"{eventful.base}/_history", headers=eventful.headers(scope)), 403)
    chosen = eventful.headers("user/Media.rs?status=completed")
    assert told(get(eventful, "_history", chosen)) == told(get(eventful, "Media/_history"))


def test_what_has_moved_out_of_reach_is_gone_with_its_past(timed: tuple[Served, Hands]) -> None:
    served, _ = timed
    put(served, a("Media", "moved", unit="derm"), a("Media", "moved", unit="eyes"))
    derm, eyes = (served.headers("user/*.rs", units=[unit]) for unit in ("derm", "eyes"))
    assert told(get(served, "Media/_history", derm)) == []
    assert told(get(served, "Media/_history", eyes)) == ["Media/moved/2"]
    assert get(served, "Media/_history", derm)["total"] == 0


def test_binaries_and_events_have_no_history(served: Served) -> None:
    plain = served.headers() | {"Content-Type": "text/plain"}
    upload = served.http.post(f"{served.base}/Binary", content=b"x", headers=plain)
    assert upload.status_code == 201
    assert not [each for each in told(get(served, "_history?_count=1000")) if each.startswith("Binary")]
    for kind in ("Binary", "AuditEvent"):
        refusal(served.http.get(f"{served.base}/{kind}/_history", headers=served.headers()), 405)
    refusal(served.http.get(f"{served.base}/Nothing/_history", headers=served.headers()), 404)


def test_cursors_of_one_history_open_no_other(eventful: Served) -> None:
    following = link(get(eventful, "Media/_history?_count=1"), "next")
    assert following is not None
    cursor = following.partition("?")[2]
    for path in ("_history", "Encounter/_history", "Media/m/_history", "Media"):
        refusal(eventful.http.get(f"{eventful.base}/{path}?{cursor}", headers=eventful.headers()), 400)
    foreign = eventful.http.get(following, headers=eventful.headers("user/Media.rs"))
    assert refusal(foreign, 403)["code"] == "forbidden"


def poller() -> Callable[..., Iterator[Body]]:
    """The function `changes` as the README shows it."""
    found = re.search(r"```python\n(def changes.*?)```", README.read_text(), re.DOTALL)
    assert found is not None
    namespace: dict[str, object] = {"quote": quote}
    exec(found[1], namespace)
    function = namespace["changes"]
    assert callable(function)
    return function


def test_the_poller_of_the_readme_misses_nothing_beside_writers(served: Served) -> None:
    acknowledged: list[str] = []
    seen: dict[str, Body] = {}
    stop = threading.Event()

    def write(number: int) -> None:
        with httpx.Client(timeout=30) as http:
            headers = served.headers()
            for turn in range(25):
                media = a("Media", "-", deviceName=f"{number} {turn}")
                made = http.post(f"{served.base}/Media", json=media, headers=headers)
                assert made.status_code == 201
                acknowledged.append(f"Media/{made.json()['id']}/1")

    def poll() -> None:
        changes, since = poller(), LONG_AGO
        with httpx.Client(timeout=30, headers=served.headers()) as http:
            last = False
            while not last:
                last = stop.is_set()
                entries = list(changes(http, served.base, since))
                for entry in entries:
                    seen.setdefault("".join(told({"entry": [entry]})), entry)
                since = max((each["response"]["lastModified"] for each in entries), default=since)

    reader = threading.Thread(target=poll)
    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for each in (reader, *writers):
        each.start()
    for each in writers:
        each.join()
    stop.set()
    reader.join()
    assert len(acknowledged) == 100
    assert set(acknowledged) <= set(seen)


def test_the_poller_hands_over_in_the_order_of_the_changes(eventful: Served) -> None:
    with httpx.Client(headers=eventful.headers()) as http:
        entries = list(poller()(http, eventful.base, at(0), count=2))
        assert told({"entry": entries})[-6:] == told(get(eventful, "_history?_count=6"))[::-1]
        again = list(poller()(http, eventful.base, entries[-1]["response"]["lastModified"], count=2))
        assert told({"entry": again}) == ["Media/o/1"]


def test_a_page_that_looked_at_enough_ends_early_and_goes_on(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    from fhirmedia.custody import changes

    put(served, a("Media", "rare", status="entered-in-error"))
    for _ in range(12):
        created(served, a("Media", "-"))
    monkeypatch.setattr(changes, "VISITS", 5)
    few = served.headers("user/Media.rs?status=entered-in-error")
    walked = list(pages(served, f"{served.base}/Media/_history?_count=3", few))
    assert [told(page) for page in walked[:2]] == [[], []]
    assert "total" not in walked[0]
    assert [each for page in walked for each in told(page)] == ["Media/rare/1"]
