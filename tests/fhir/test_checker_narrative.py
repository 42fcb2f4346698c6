"""The checker on narratives: what could run, load or hide is refused, what R4 permits gets in untouched."""

import pytest

from fhirmedia.r4.narrative import narrative_fault
from tests.fhir.spoiling import XHTML, Spoil, div, found, put, whole

REFUSED = [
    pytest.param(whole("<div>x</div>"), id="narrative of another namespace"),
    pytest.param(whole(f'<p xmlns="{XHTML}">x</p>'), id="narrative that is no div"),
    pytest.param(div("<p>"), id="narrative that is broken"),
    pytest.param(div(" \n"), id="narrative that is empty"),
    pytest.param(whole(1), id="narrative as a number"),
    pytest.param(div("<script>x()</script>"), id="script"),
    pytest.param(div('<svg xmlns="http://www.w3.org/2000/svg"><script/>x</svg>'), id="script in another namespace"),
    pytest.param(div('<p onclick="x()">x</p>'), id="event handler"),
    pytest.param(div('<a href=" java&#10;script:x()">x</a>'), id="running address"),
    pytest.param(div('<a href="data:text/html,x">x</a>'), id="page in an address"),
    pytest.param(div('<p style="background: url(http://x.example)">x</p>'), id="loading style"),
    pytest.param(div("<x:p xmlns:x='urn:x'>x</x:p>"), id="paragraph of another namespace"),
    pytest.param(div('<form action="x">x</form>'), id="form"),
    pytest.param(div('<iframe src="x"/>x'), id="frame"),
    pytest.param(div("<!-->x<script>--> x"), id="comment"),
    pytest.param(div("<![CDATA[<script>]]>"), id="CDATA"),
    pytest.param(div("<?php x ?>x"), id="processing instruction"),
    pytest.param(div("&nbsp;x"), id="entity"),
    pytest.param(whole(f'<!DOCTYPE d [<!ENTITY e "x">]><div xmlns="{XHTML}">&e;</div>'), id="document type"),
    pytest.param(div("<p>" * 100_000 + "x" + "</p>" * 100_000), id="narrative of endless depth"),
]


@pytest.mark.parametrize("spoil", REFUSED)
def test_refuses(spoil: Spoil) -> None:
    assert found("Media", spoil) == [("value", "Media.text.div")]


def test_a_narrative_says_what_it_is() -> None:
    assert found("Media", put(text={"div": f'<div xmlns="{XHTML}">x</div>'})) == [("required", "Media.text.status")]


@pytest.mark.parametrize(
    "inside",
    [
        '<img src="data:image/png;base64,AA==" alt="x"/>',
        '<a href="#x" name="y">x</a><a href="mailto:a@example.org">y</a><a href="page.html?a=1&amp;b=2">z</a>',
        '<p style="color: red; font-weight: bold">x</p>',
        '<table class="grid"><tr><td colspan="2" xml:lang="nb">x</td></tr></table>',
        "&#160;&lt;script&gt;",
        "two\r\nlines",
    ],
)
def test_lets_through(inside: str) -> None:
    assert found("Media", div(inside)) == []


def test_a_prefix_for_the_namespace_is_as_good() -> None:
    assert narrative_fault(f'<h:div xmlns:h="{XHTML}"><h:p>x</h:p></h:div>') is None


def test_half_a_surrogate_pair_is_no_text() -> None:
    assert narrative_fault(f'<div xmlns="{XHTML}">\ud800</div>') is not None
