"""The page as one HTML text that needs nothing else: style and script stand in it, allowed by their hashes alone."""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib.resources import files

from fhirmedia.r4.examples import example
from fhirmedia.r4.registry import Registry, ServedType
from fhirmedia.web.calls import Call, operation_definitions
from fhirmedia.web.meanings import (
    COMMON,
    INTERACTIONS,
    KINDS,
    RESULT,
    StatedParameter,
    own_descriptions,
    stated_parameters,
)

_SECTIONS = (
    ("start", "Start"),
    ("access", "Who may ask"),
    ("forms", "Forms"),
    ("writing", "Writing"),
    ("bytes", "Bytes"),
    ("searching", "Searching"),
    ("refused", "When it is refused"),
    ("system", "The whole archive"),
    ("operations", "Operations"),
    ("types", "Types"),
)


def _own(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_STYLE, _SCRIPT, _PROSE = _own("style.css"), _own("script.js"), _own("prose.html")

CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src {_hash(_STYLE)}; script-src {_hash(_SCRIPT)}; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)


def page(registry: Registry, served: Sequence[Call], *, base_url: str, version: str) -> str:
    """The whole page for a server at this FHIR base."""
    described = own_descriptions(registry)
    shaping = _table(("Parameter", "Meaning"), {**RESULT, **COMMON}.items())
    prose = _PROSE.replace("@base@", escape(base_url)).replace("@shaping@", shaping)
    parts = [
        _head(registry),
        _navigation(registry),
        '<main id="main">',
        f"<h1>{escape(str(registry.statement['title']))}</h1>",
        f'<p class="lead">Version {escape(version)}. FHIR R4, {len(registry.types)} types, each as it says below.</p>',
        prose.replace("@kinds@", _table(("Kind", "Values"), KINDS.items())),
        '<section id="system"><h2>The whole archive</h2>',
        *(_call(call) for call in served if call.type is None and call.operation is None),
        "</section>",
        *_operations(registry, served),
        *_types(registry, served, described),
        "</main></div>",
        f"<script>{_SCRIPT}</script></body></html>",
    ]
    return "\n".join(parts)


def _head(registry: Registry) -> str:
    title = escape(str(registry.statement["title"]))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body>"
        '<a class="skip" href="#main">To the content</a><div class="frame">'
    )


def _navigation(registry: Registry) -> str:
    sections = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title in _SECTIONS)
    types = "".join(f'<li><a href="#type-{name}">{name}</a></li>' for name in registry.types)
    return (
        f'<nav aria-label="Contents"><p>fhirmedia</p><ul>{sections}</ul>'
        f'<div class="types"><h2>Types</h2><ul>{types}</ul></div></nav>'
    )


def _operations(registry: Registry, served: Sequence[Call]) -> Iterator[str]:
    defined = {str(each["code"]): each for each in operation_definitions(registry)}
    yield '<section id="operations"><h2>Operations</h2>'
    for name in dict.fromkeys(call.operation for call in served if call.operation is not None):
        about = defined.get(name, {})
        described = str(about.get("description", "An operation of FHIR R4, as the standard defines it."))
        yield f"<h3><code>${escape(name)}</code></h3><p>{escape(described)}</p>"
        yield from (_call(call, told=False) for call in served if call.operation == name)
        stated = about.get("parameter")
        parameters = stated if isinstance(stated, list) else []
        rows = [
            (str(each["name"]), str(each.get("documentation", "")))
            for each in parameters
            if isinstance(each, dict) and each.get("use") == "in"
        ]
        if rows:
            yield _table(("Parameter", "Meaning"), rows)
    yield "</section>"


def _types(registry: Registry, served: Sequence[Call], described: dict[str, str]) -> Iterator[str]:
    yield (
        '<section id="types"><h2>Types</h2><div class="sieve" hidden>'
        '<label for="word">Find a type or a parameter</label>'
        '<input id="word" type="search" autocomplete="off" spellcheck="false"><output for="word"></output></div>'
    )
    for name, each in registry.types.items():
        own = [call for call in served if call.type == name and call.operation is None]
        yield _type(registry, each, own, described)
    yield "</section>"


def _type(registry: Registry, served: ServedType, own: Sequence[Call], described: dict[str, str]) -> str:
    name = served.name
    stated = stated_parameters(registry, name, described)
    number = len(stated)
    kind = "read only, " if served.read_only else ""
    kind += f"{number} search parameters" if number else "not searched"
    inside = [_call(call) for call in own]
    if stated:
        rows = [_parameter(each) for each in stated]
        inside += [
            "<h3>Search parameters</h3>",
            _wide(("Name", "Kind", "Matches"), rows, f"Search parameters of {name}"),
        ]
    if "create" in served.interactions:
        body = escape(json.dumps(example(name), indent=2, ensure_ascii=False), quote=False)
        inside.append(f'<h3>A small example</h3><pre tabindex="0"><code>{body}</code></pre>')
    return (
        f'<details class="type" id="type-{name}" data-name="{name}"><summary><strong>{name}</strong>'
        f"<span>{kind}</span></summary><div>{''.join(inside)}</div></details>"
    )


def _parameter(parameter: StatedParameter) -> str:
    """One row; what looks for a path in the resource shows it, with where it leads."""
    matched = escape(parameter.meaning)
    if parameter.path is not None:
        rest = parameter.meaning.removeprefix(parameter.path).removesuffix(".")
        matched = f"<code>{escape(parameter.path, quote=False)}</code>{escape(rest)}"
    code = escape(parameter.code)
    return (
        f'<tr data-code="{code.lower()}"><td><code>{code}</code></td><td>{parameter.kind}</td>'
        f'<td class="long">{matched}</td></tr>'
    )


def _call(call: Call, *, told: bool = True) -> str:
    title, sentence = INTERACTIONS.get(call.interaction, ("", "")) if told else ("", "")
    if call.is_conditional:
        sentence = "Done to the one resource that the search in the address finds."
    elif call.is_posted_search:
        sentence = "The same search, its parameters sent as a form."
    text = f"<span>{escape(sentence)}</span>" if sentence and title else ""
    method = call.method
    return f'<div class="call"><b class="{method.lower()}">{method}</b><code>{escape(call.path)}</code>{text}</div>'


def _table(head: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    told = [f"<tr><td><code>{escape(one)}</code></td><td>{escape(other)}</td></tr>" for one, other in rows]
    return _wide(head, told, head[0])


def _wide(head: Sequence[str], rows: Sequence[str], label: str) -> str:
    """A table that scrolls by itself where the screen is narrow."""
    columns = "".join(f'<th scope="col">{each}</th>' for each in head)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{label}"><table><thead><tr>{columns}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )
