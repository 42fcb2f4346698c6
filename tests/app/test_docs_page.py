"""The page at `/docs`: whole by itself, true, readable without script, and unable to run or load anything else."""

import base64
import hashlib
import itertools
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from fhirmedia.r4.registry import load_registry
from tests.access.enumeration import flattened
from tests.servers import Served, serving

VOID = frozenset({"meta", "input", "br", "img", "hr", "link"})


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("page") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def answer(served: Served) -> httpx.Response:
    return served.http.get(served.base.removesuffix("/fhir") + "/docs")


class Reader(HTMLParser):
    """Gathers elements, ids, links and text; fails where elements do not close as they opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.content: dict[str, list[str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.content.setdefault(self.open[-1] if self.open else "", []).append(data)


@pytest.fixture(scope="module")
def read(answer: httpx.Response) -> Reader:
    reader = Reader()
    reader.feed(answer.text)
    assert reader.open == []
    return reader


def test_it_is_there_for_everybody(answer: httpx.Response) -> None:
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.text.startswith("<!DOCTYPE html>")


def test_only_its_own_style_and_script_run(answer: httpx.Response, read: Reader) -> None:
    policy = {part.split()[0]: part.split()[1:] for part in answer.headers["content-security-policy"].split("; ")}
    assert (
        policy["default-src"] == policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == ["'none'"]
    )
    for tag in ("style", "script"):
        (text,) = ("".join(read.content[tag]),)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert policy[f"{tag}-src"] == [f"'sha256-{digest}'"]
    for tag, attributes in read.elements:
        assert not {"style", "src", "srcset"} & attributes.keys(), tag
        assert not [name for name in attributes if name.startswith("on")]
        assert tag not in ("link", "iframe", "object", "embed", "form", "img")
    assert "url(" not in "".join(read.content["style"])


def test_its_links_lead_somewhere(served: Served, read: Reader) -> None:
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    links = [str(attributes["href"]) for tag, attributes in read.elements if tag == "a"]
    assert len(links) > 40
    for link in links:
        if link.startswith("#"):
            assert link[1:] in ids, link
        else:
            assert link.startswith(("/", served.base)), link
            assert served.http.get(httpx.URL(served.base).join(link)).status_code == 200, link


def test_every_type_and_parameter_is_in_it(read: Reader) -> None:
    headings = [attributes["data-name"] for tag, attributes in read.elements if tag == "details"]
    assert headings == list(load_registry().types)
    codes = {
        str(attributes["data-code"]) for tag, attributes in read.elements if "data-code" in attributes and tag == "tr"
    }
    for described in load_registry().types.values():
        assert {code.lower() for code in described.parameters} <= codes


def test_every_address_in_it_is_served(served: Served, answer: httpx.Response) -> None:
    told = re.findall(r'<b class="[a-z]+">([A-Z]+)</b><code>([^<]+)</code>', answer.text)
    assert len(told) > 200
    types = load_registry().types
    routes = set(flattened(served.app))
    for method, path in told:
        parts = path.split("/")
        forms = (
            [[name, *parts[2:]] for name in ("{type}", "{compartment}", parts[1])] if parts[1] in types else [parts[1:]]
        )
        paths = {"/fhir/" + "/".join(form) for form in forms}
        assert {(method, each) for each in paths} & routes, path


def test_it_reads_without_script(read: Reader) -> None:
    """Only the field that needs the script is hidden; the rest is text and elements that open by themselves."""
    hidden = [(tag, attributes.get("class")) for tag, attributes in read.elements if "hidden" in attributes]
    assert hidden == [("div", "sieve")]


def test_it_can_be_read_by_everybody(read: Reader) -> None:
    """Language, headings in order, a way past the navigation, labelled fields, tables that can be scrolled by keys."""
    assert ("html", {"lang": "en"}) in read.elements
    levels = [int(tag[1]) for tag, _ in read.elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    main = levels[levels.index(1) :]
    assert all(after - before <= 1 for before, after in itertools.pairwise(main))
    named: list[Any] = [attributes["for"] for tag, attributes in read.elements if tag == "label"]
    assert [attributes["id"] for tag, attributes in read.elements if tag == "input"] == named
    for tag, attributes in read.elements:
        if attributes.get("class") == "wide":
            assert attributes["tabindex"] == "0"
            assert attributes["aria-label"]
        if tag == "th":
            assert attributes["scope"] == "col"


def test_light_and_dark_and_narrow(read: Reader) -> None:
    style = "".join(read.content["style"])
    assert "color-scheme: light dark" in style
    assert "prefers-color-scheme: dark" in style
    light, dark = (
        dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", part)) for part in style.split("prefers-color-scheme", 1)
    )
    for colours in (light, dark):
        for ink in ("ink", "soft", "accent", "get", "post", "put", "patch", "delete"):
            assert _contrast(colours[ink], colours["paper"]) >= 4.5, ink
            assert _contrast(colours[ink], colours["raised"]) >= 4.5, ink
    assert "@media (max-width" in style


def _contrast(one: str, other: str) -> float:
    """WCAG 2.1, contrast ratio."""
    brighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
