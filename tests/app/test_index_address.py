"""How an operator writes where the search engine is, and what is refused before anything is asked."""

from pathlib import Path

import pytest

from fhirmedia.core.index_address import IndexAddress, parse_index_address


def test_one_node_on_this_machine() -> None:
    assert parse_index_address("elasticsearch://127.0.0.1") == IndexAddress(("http://127.0.0.1:9200",), "fhirmedia")
    assert parse_index_address("elasticsearch://localhost:9201/trial") == IndexAddress(
        ("http://localhost:9201",), "trial"
    )
    assert parse_index_address("elasticsearch://[::1]:9202").nodes == ("http://[::1]:9202",)


def test_several_nodes_over_tls_with_key_and_authority() -> None:
    text = "https://one.example.org:9200,two.example.org/archive?api_key_file=/run/key&ca_file=/run/ca.pem&shards=6"
    nodes = ("https://one.example.org:9200", "https://two.example.org:9200")
    assert parse_index_address(text) == IndexAddress(nodes, "archive", Path("/run/key"), Path("/run/ca.pem"), 6)


REFUSED = {
    "http://127.0.0.1:9200": "begins with",
    "127.0.0.1:9200": "begins with",
    "elasticsearch://": "a host",
    "elasticsearch://other.example.org:9200": "https",
    "elasticsearch://127.0.0.1,other.example.org": "https",
    "https://user:word@one.example.org": "api_key_file",
    "https://one.example.org/Upper": "small letter",
    "https://one.example.org/a/b": "small letter",
    "https://one.example.org?api_key=abc": "options",
    "https://one.example.org?ca_file=": "options",
    "https://one.example.org?ca_file=/a&ca_file=/b": "options",
    "https://one.example.org?shards=0": "shards",
    "https://one.example.org?shards=65": "shards",
    "https://one.example.org:99999": "port",
    "https://one.example.org:0": "port",
    "https://one.example.org#x": "begins with",
    "https://one example": "a host",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_cannot_be_used_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=REFUSED[text]):
        parse_index_address(text)


def test_a_refusal_repeats_nothing_of_the_address() -> None:
    for text in ("https://x/p?SECRET", "https://x/p?api_key=SECRET", "https://SECRET@x", "https://x:SECRET"):
        with pytest.raises(ValueError) as caught:
            parse_index_address(text)
        assert "SECRET" not in str(caught.value)
