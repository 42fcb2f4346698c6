"""From a resource to its index entries: every indexed parameter and its compartments, by compiled expressions."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

from fhirmedia.core.records import Key
from fhirmedia.core.settings import DEFAULT_LANGUAGE
from fhirmedia.r4.collation import SORTED
from fhirmedia.r4.contained import Pointer, is_searched, pointers, shipped, values_inside
from fhirmedia.r4.conversions import Conversions, typed_identifiers
from fhirmedia.r4.expressions import Run, Whole, collect, compile_expression, inside
from fhirmedia.r4.fold import bounded
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.registry import Registry, SearchParameter, ServedType
from fhirmedia.r4.texts import CONTENT, NARRATIVE, OF_CODED, content_text, narrative_text, printed, worded
from fhirmedia.r4.tokens import OF_TYPE
from fhirmedia.r4.ucum import CANONICAL
from fhirmedia.r4.values import DateValue, IndexEntries, ReferenceValue, SearchValue, TokenValue, in_group
from fhirmedia.r4.word_tests import BREAK

PATIENT = "Patient"  # type-name: the type whose compartment decides access
_FROM_KEY = frozenset({"_id", "_lastUpdated"})

Values = dict[str, tuple[SearchValue, ...]]


@dataclass(frozen=True, slots=True)
class _Repetitions:
    """A composite from one of its bases: `base` finds the repetitions, each part is looked for within one."""

    base: Run
    parts: tuple[tuple[str, tuple[Run, ...]], ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to run on a type: by the JSON name a way begins with, and what has to see the whole resource.

    `words` stay in the order of the definitions, each with that name.
    """

    by_root: dict[str, tuple[tuple[str, Run], ...]]
    whole: tuple[tuple[str, Run], ...]
    composites: tuple[_Repetitions, ...]
    words: tuple[tuple[str | None, str, Run], ...]
    membership: tuple[str, ...]
    hidden_membership: tuple[Run, ...]
    pointers: tuple[Pointer, ...] = ()


class Extractor:
    """All expressions of a Registry, bound to one base URL, time zone and language.

    Stateless once made, safe among threads.
    """

    def __init__(self, registry: Registry, *, base_url: str, zone: ZoneInfo, language: str = DEFAULT_LANGUAGE) -> None:
        conversions = Conversions(base_url=base_url, zone=zone, language=language)
        self._plans = {
            name: replace(_plan(served, conversions), pointers=pointers(registry, name))
            for name, served in registry.types.items()
        }
        self._plans_inside = {
            name: self._plans[name]
            if len(own := shipped(registry, name)) == len(served.indexed)
            else _plan(replace(served, indexed=own), conversions)
            for name, served in registry.types.items()
            if is_searched(served)
        }

    def entries(self, resource: JsonObject, *, key: Key, last_updated_ms: int) -> IndexEntries:
        """What engines store about a checked resource of a served type.

        Holds all indexed parameters, `_id` from the Key and `_lastUpdated` from the argument (which may be replaced by
        `with_last_updated` once it is known), what `contained` says, the ids of the local Patients in whose compartment
        it is, and its words.
        """
        plan, whole = self._plans[key.type], Whole(resource)
        values: Values = {
            "_id": (TokenValue(None, bounded(key.id)),),
            "_lastUpdated": (DateValue(last_updated_ms, last_updated_ms + 1),),
        }
        values.update(_values(plan, resource, whole))
        if "contained" in resource:
            plans = self._plans_inside
            inside = values_inside(whole, plan.pointers, lambda type, one: _values(plans[type], one, whole))
            values.update(inside)
        texts = _texts(plan, whole, key.type)
        return IndexEntries(key, values, _patients(plan, whole, key=key, values=values), texts)


def with_last_updated(entries: IndexEntries, milliseconds: int) -> IndexEntries:
    """The same entries with the time their version was written, in milliseconds UTC."""
    stamped = {**entries.values, "_lastUpdated": (DateValue(milliseconds, milliseconds + 1),)}
    return IndexEntries(entries.key, stamped, entries.patients, entries.texts)


def _plan(served: ServedType, conversions: Conversions) -> _Plan:
    by_root: dict[str, list[tuple[str, Run]]] = {}
    whole: list[tuple[str, Run]] = []
    composites: list[_Repetitions] = []
    words: list[tuple[str | None, str, Run]] = []
    for parameter in served.indexed.values():
        if parameter.kind == "composite":
            composites.extend(_repetitions(parameter, conversions))
        elif parameter.kind == "special":
            words.extend(_wording(parameter.code, parameter, worded))
        elif parameter.code not in _FROM_KEY:
            if parameter.kind == "token":
                words.extend(_wording(parameter.code + OF_CODED, parameter, printed))
                for branch in parameter.branches:
                    if branch.type == "Identifier" and branch.root is not None:
                        step = (parameter.code + OF_TYPE, branch.bind(typed_identifiers))
                        by_root.setdefault(branch.root, []).append(step)
            for branch in parameter.branches:
                steps = [(parameter.code, branch.bind(conversions.run(parameter.kind, branch)))]
                if parameter.kind == "quantity":
                    steps.append((parameter.code + CANONICAL, branch.bind(conversions.run_canonical(branch))))
                if parameter.kind == "string":
                    steps.append((parameter.code + SORTED, branch.bind(conversions.run_sorted(branch))))
                if branch.root is None:
                    whole.extend(steps)
                else:
                    by_root.setdefault(branch.root, []).extend(steps)
    return _Plan(
        by_root={root: tuple(steps) for root, steps in by_root.items()},
        whole=tuple(whole),
        composites=tuple(composites),
        words=tuple(words),
        membership=tuple(code for code in served.compartment if code in served.indexed),
        hidden_membership=tuple(
            branch.bind(conversions.run(parameter.kind, branch))
            for parameter in served.membership
            if parameter.code not in served.indexed
            for branch in parameter.branches
        ),
    )


def _wording(
    field: str, parameter: SearchParameter, made: Callable[[str], Run | None]
) -> Iterable[tuple[str | None, str, Run]]:
    for branch in parameter.branches:
        run = made(branch.type)
        if run is not None:
            yield branch.root, field, branch.bind(run)


def _texts(plan: _Plan, whole: Whole, type: str) -> dict[str, str]:
    """The words of the resource by field; fields without any are left out."""
    resource = whole.resource
    found: dict[str, list[str]] = {NARRATIVE: [narrative_text(resource)], CONTENT: [content_text(resource, type)]}
    for root, field, run in plan.words:
        if root is None or root in resource:
            run(resource, whole, found.setdefault(field, []))
    return {field: text for field, values in found.items() if (text := BREAK.join(values))}


def _values(plan: _Plan, node: JsonObject, root: Whole) -> Values:
    """What the parameters find in a resource, each value once; `root` is the resource that contains it, or itself."""
    found: dict[str, list[SearchValue]] = {}
    for name in node:
        for code, run in plan.by_root.get(name, ()):
            run(node, root, found.setdefault(code, []))
    for code, run in plan.whole:
        run(node, root, found.setdefault(code, []))
    for repetitions in plan.composites:
        _meet(repetitions, node, root, found)
    return {
        code: tuple(several) if len(several) == 1 else tuple(dict.fromkeys(several))
        for code, several in found.items()
        if several
    }


def _repetitions(parameter: SearchParameter, conversions: Conversions) -> Iterable[_Repetitions]:
    for base in parameter.branches:
        parts = []
        for component in parameter.components:
            ways = compile_expression(component.expression, inside(base))
            runs = tuple(way.bind(conversions.run(component.kind, way)) for way in ways)
            parts.append((component.parameter, runs))
        yield _Repetitions(base.bind(collect), tuple(parts))


def _meet(repetitions: _Repetitions, resource: JsonObject, root: Whole, found: dict[str, list[SearchValue]]) -> None:
    """Values of the parts, numbered by the repetition they stand in; numbers go on over the bases of a composite."""
    nodes: list[Any] = []
    repetitions.base(resource, root, nodes)
    first = 1 + max((value.group for part, _ in repetitions.parts for value in found.get(part, ())), default=-1)
    for group, node in enumerate(nodes, start=first):
        for parameter, runs in repetitions.parts:
            values: list[SearchValue] = []
            for run in runs:
                run(node, root, values)
            found.setdefault(parameter, []).extend(in_group(value, group) for value in values)


def _patients(plan: _Plan, whole: Whole, *, key: Key, values: Values) -> tuple[str, ...]:
    """Ids of local Patients: the resource itself, then those its membership parameters lead to."""
    references: list[SearchValue] = []
    for code in plan.membership:
        references.extend(values.get(code, ()))
    for run in plan.hidden_membership:
        run(whole.resource, whole, references)
    named = [
        value.key.id
        for value in references
        if isinstance(value, ReferenceValue) and value.key is not None and value.key.type == PATIENT
    ]
    return tuple(dict.fromkeys([key.id, *named] if key.type == PATIENT else named))
