"""The demo's region in its folder: it enters once, is gone on with, and its tour shows what is there."""

import re
from pathlib import Path

import pytest

from fhirmedia.backends.folder import Folder
from fhirmedia.backends.sqlite import open_reader
from fhirmedia.cli.demo_loading import LOADED, SEED, load_demo, tour
from fhirmedia.core.errors import Failure
from fhirmedia.core.settings import load_settings
from fhirmedia.demo.items import DemoItem
from fhirmedia.demo.region import generate
from tests.app.commands import command
from tests.servers import make_demo_folder, serving

PATIENTS = ("demo-0001", "demo-0003")
EVERYONE = {"Organization", "Practitioner"}


def small_region() -> list[DemoItem]:
    """Of two patients, everything without content and the first item of each type of content."""
    kept, seen = [], set()
    for item in generate(SEED):
        kind = str(item.resource["resourceType"])
        about = next((patient for patient in PATIENTS if f"{patient}" in str(item.resource)), None)
        if kind not in EVERYONE and about is None:
            continue
        if item.content_type is None or (about, item.content_type) not in seen:
            kept.append(item)
            seen.add((about, item.content_type))
    ids = {f"{item.resource['resourceType']}/{item.resource['id']}" for item in kept}
    named = {str(item.resource["id"]): re.findall(r"'reference': '([^']+)'", str(item.resource)) for item in kept}
    return [item for item in kept if ids.issuperset(named[str(item.resource["id"])])]


def versions(folder: Folder) -> dict[tuple[str, str], int]:
    reader = open_reader(folder.records)
    rows = reader.execute("SELECT type, id, max(version) FROM record_version GROUP BY type, id").fetchall()
    reader.close()
    return {(kind, identity): version for kind, identity, version in rows}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return make_demo_folder(tmp_path / "data")


def test_it_enters_once_and_goes_on_where_it_was_interrupted(folder: Folder) -> None:
    region = small_region()
    load_demo(folder, load_settings(), port=8080, region=region)
    there = versions(folder)
    contents = {item.binary_id for item in region if item.binary_id is not None}
    assert len(contents) >= 5
    assert set(there) == {(str(item.resource["resourceType"]), str(item.resource["id"])) for item in region} | {
        ("Binary", str(binary)) for binary in contents
    }
    (folder.path / LOADED).unlink()
    load_demo(folder, load_settings(), port=8080, region=region)
    assert versions(folder) == there
    checked = command("check", "--data", folder.path)
    assert checked.code == 0, checked.sentence
    assert set(there.values()) == {1}
    load_demo(folder, load_settings(), port=8080, region=[])
    assert versions(folder) == there


def test_its_tour_shows_what_is_there(folder: Folder) -> None:
    load_demo(folder, load_settings(), port=8080, region=small_region())
    with serving(folder.path) as served:
        shown = tour(served.base, folder.path, port=8080)
        headers = served.headers()
        addresses = re.findall(rf"{served.base}/(?:Binary/[\w.-]+|\?[^']+)", shown)
        assert len(addresses) == 3
        for address in addresses:
            answer = served.http.get(address, headers=headers)
            assert answer.status_code == 200
            assert b'"total":0' not in answer.content


def test_what_is_refused_ends_it_by_name(folder: Folder) -> None:
    region = [item for item in small_region() if item.resource["resourceType"] != "Patient"]
    with pytest.raises(Failure, match="demo items were refused"):
        load_demo(folder, load_settings(), port=8080, region=region)
    assert not (folder.path / LOADED).exists()
