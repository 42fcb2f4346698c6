"""Elasticsearch beside the database: it finds, counts and knows words; records, and who may see them, stay ours.

`shape` says what documents look like, `mapping` and `document` make that so, `terms` spells what both sides share.
`compile` turns a Query into one of the few `clauses`. `index` answers from one generation of indices (`searching`,
`counting`), `documents` writes to one (`writing`), `client` is how, and `engine` makes, checks and drops generations.
"""

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.index_address import IndexAddress
from fhirmedia.core.settings import DEFAULT_LANGUAGE
from fhirmedia.r4.registry import Registry

if TYPE_CHECKING:
    from fhirmedia.backends.elastic.engine import ElasticEngine


def open_engine(
    address: IndexAddress,
    *,
    registry: Registry,
    zone: ZoneInfo,
    budget_s: float,
    base_url: str = "",
    language: str = DEFAULT_LANGUAGE,
) -> "ElasticEngine":
    """The engine at an address; nothing is asked of it yet, and only now is its library imported.

    A search may take `budget_s` seconds; `base_url` is what references to our records may begin with, `language` whose
    alphabet sorts names. Raises Failure INVALID for a key or certificate that cannot be read, or where the library is
    not installed.
    """
    try:
        from fhirmedia.backends.elastic.engine import ElasticEngine, Shapes
    except ImportError:
        text = "FHIRMEDIA_INDEX needs a library that is not installed: pip install 'fhirmedia[elasticsearch]'."
        raise Failure(Category.INVALID, text) from None
    return ElasticEngine(address, Shapes(registry, zone=zone, base_url=base_url, language=language), budget_s=budget_s)
