"""What would be asked of the engine, without a value in it."""

import json
from typing import Any

Json = dict[str, Any]

_TELLING = frozenset({"relation", "field", "size", "order", "min_doc_count"})
"""What a rule says besides values."""

_RULES = frozenset({"term", "terms", "prefix", "wildcard", "range", "match"})


def told(where: str, body: Json) -> str:
    """The indices, and the body on several lines."""
    return f"{where}\n{json.dumps(_said(body), indent=1, ensure_ascii=False)}"


def _said(node: Any) -> Any:
    if isinstance(node, list):
        return [_said(each) for each in node]
    if not isinstance(node, dict):
        return node
    found: Json = {}
    for name, each in node.items():
        if name == "search_after":
            found[name] = "a position"
        else:
            found[name] = _hidden(each) if name in _RULES else _said(each)
    return found


def _hidden(rule: Json) -> Json:
    return {name: each if name in _TELLING else _blank(each) for name, each in rule.items()}


def _blank(value: Any) -> Any:
    if isinstance(value, dict):
        return _hidden(value)
    return f"{len(value)} values" if isinstance(value, list) else "?"
