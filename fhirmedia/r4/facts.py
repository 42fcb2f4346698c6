"""Facts of a version: what access decisions need, read from the body once, when it is written.

Which elements say so is the table `profiles/facts.json`. Other records are seen only through `lookup`, which gives the
current body of a Key or None, and is read within the transaction that writes the version.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from fhirmedia.core.records import CONFIDENTIALITY, Facts, Key
from fhirmedia.r4.attachments import find_attachments, local_binary_id
from fhirmedia.r4.expressions import Branch
from fhirmedia.r4.extract import PATIENT
from fhirmedia.r4.json_types import Json, JsonObject
from fhirmedia.r4.references import local_key
from fhirmedia.r4.registry import Registry, ServedType
from fhirmedia.r4.switchboard import FactTable
from fhirmedia.r4.values import IndexEntries, TokenValue

Lookup = Callable[[Key], JsonObject | None]
"""The current body of a Key, or None."""

Source = Literal["staff", "patient", "external"]

_ENCOUNTER = "Encounter"  # type-name: its provider owns what has no owner of its own
_ORGANIZATION = "Organization"  # type-name: units and care providers
LENDERS: Mapping[str, str | None] = {_ENCOUNTER: None, _ORGANIZATION: "partof"}
"""Types that lend records facts, with the search parameter by which one of them is below another."""

_MAX_DEPTH = 16
"""Steps up a tree of Organizations before it counts as endless."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """The unit a record belongs to, and the Organizations from there up, each with its body where it is held.

    `ends` at a topmost one; a tree that goes round or is too deep does not.
    """

    unit: str | None
    above: tuple[tuple[Key, JsonObject], ...]
    ends: bool

    @property
    def enterprise(self) -> str | None:
        """The topmost Organization."""
        return self.above[-1][0].id if self.above and self.ends else None


def owned_by(resource: JsonObject, type: str, *, registry: Registry, base_url: str, lookup: Lookup) -> Ownership:
    """Whom a record of the type belongs to; only this looks at other records."""
    served = registry.served(type)
    unit = _unit_of(resource, served, registry=registry, base_url=base_url, lookup=lookup)
    return _ascent(unit, base_url=base_url, lookup=lookup)


def facts_of(
    resource: JsonObject, *, entries: IndexEntries, registry: Registry, base_url: str, lookup: Lookup
) -> Facts:
    """The Facts of a checked resource whose index entries are these; as `facts_owned` says."""
    owner = owned_by(resource, entries.key.type, registry=registry, base_url=base_url, lookup=lookup)
    return facts_owned(resource, owner, entries=entries, registry=registry, base_url=base_url)


def facts_owned(
    resource: JsonObject, owner: Ownership, *, entries: IndexEntries, registry: Registry, base_url: str
) -> Facts:
    """The Facts of a checked resource whose owner and index entries are these.

    What is not stated, or not by a record of ours, is absent, and absence never widens access. An unknown
    confidentiality code counts as the strictest one; of several the strictest binds.
    """
    key, table = entries.key, registry.table
    served = registry.served(key.type)
    authors = _local_keys(served.facts.authors, resource, base_url=base_url)
    named = (None, key) if key.type == _ENCOUNTER else _encounter(resource, served, base_url=base_url)
    status = resource.get("status")
    return Facts(
        patients=_concerned(resource, served, entries.patients, base_url=base_url),
        unit=owner.unit,
        enterprise=owner.enterprise,
        authors=tuple(dict.fromkeys(map(str, authors))),
        encounter=None if named is None else str(named[1]),
        status=status if isinstance(status, str) else None,
        source=_source(resource, authors, table=table),
        confidentiality=_confidentiality(resource, table),
        labels=_labels(resource, table),
        binaries=_binaries(resource, key.type, base_url=base_url),
        tokens=_scopable_tokens(served, entries),
    )


def department_tag(resource: JsonObject, owner: Ownership, *, registry: Registry) -> JsonObject | None:
    """The Coding to add to `meta.tag`, if the client tagged no department: that of the nearest Organization.

    Of the owning unit and those above it the first whose `type` has a coding of the department system decides. None
    where there is no unit or none of them has one.
    """
    system = registry.table.department_system
    if any(tag.get("system") == system for tag in _meta(resource, "tag")):
        return None
    for _, organization in owner.above:
        for coding in _codings(organization.get("type")):
            if coding.get("system") == system and "code" in coding:
                return {name: coding[name] for name in ("system", "code", "display") if name in coding}
    return None


def access_references(resource: JsonObject, *, registry: Registry, base_url: str) -> tuple[tuple[str, Key], ...]:
    """References that decide access and so have to lead somewhere: (FHIRPath, Key), in no particular order.

    They are the Patients it concerns and the Organization that owns the record, or where it names none the Encounter
    that is asked for it. Binaries decide access too; what claims them is judged where they are claimed.
    """
    served = registry.served(str(resource["resourceType"]))
    found: list[tuple[str, Key]] = []
    for branch in _concerning(served):
        keys = _local_keys((branch,), resource, base_url=base_url)
        found.extend((_path(branch), key) for key in keys if key.type == PATIENT)
    owners = list(islice(_owners(resource, served, table=registry.table, base_url=base_url), 1))
    lender = None if owners or served.directory else _encounter(resource, served, base_url=base_url)
    return tuple(dict.fromkeys((*found, *owners, *(() if lender is None else (lender,)))))


def lent_by(resource: JsonObject, *, registry: Registry, base_url: str) -> Hashable:
    """What facts of other records take from a resource of `LENDERS`; None where they take nothing."""
    served = registry.served(str(resource["resourceType"]))
    if served.name == _ORGANIZATION:
        parent = resource.get("partOf")
        return local_key(parent, base_url=base_url) if isinstance(parent, dict) else None
    owner = next(_owners(resource, served, table=registry.table, base_url=base_url), None)
    return None if owner is None else (owner[1], _patients(resource, registry, base_url=base_url))


def _unit_of(
    resource: JsonObject, served: ServedType, *, registry: Registry, base_url: str, lookup: Lookup
) -> str | None:
    """The id of the Organization that owns a record: as it says itself, else as its (first) Encounter does.

    An Encounter of somebody else says nothing, so that naming it tells nothing about it.
    """
    for _, key in _owners(resource, served, table=registry.table, base_url=base_url):
        return key.id
    provider, lender = registry.types.get(_ENCOUNTER), _encounter(resource, served, base_url=base_url)
    body = None if lender is None or provider is None or served.directory else lookup(lender[1])
    if body is None or provider is None:
        return None
    visitors, subjects = (_patients(each, registry, base_url=base_url) for each in (body, resource))
    if not visitors <= subjects or bool(visitors) != bool(subjects):
        return None
    return next((key.id for _, key in _owners(body, provider, table=registry.table, base_url=base_url)), None)


def _owners(resource: JsonObject, served: ServedType, *, table: FactTable, base_url: str) -> Iterator[tuple[str, Key]]:
    """Local Organizations a record names as its owner, the deciding one first; of directory types nobody owns one."""
    if served.directory:
        return
    for index, extension in enumerate(_objects(resource.get("extension"))):
        if extension.get("url") == table.owning_unit:
            for reference in _objects([extension.get("valueReference")]):
                key = local_key(reference, base_url=base_url)
                if key is not None and key.type == _ORGANIZATION:
                    yield f"{served.name}.extension[{index}].value", key
    for branch in served.facts.unit:
        for key in _local_keys((branch,), resource, base_url=base_url):
            if key.type == _ORGANIZATION:
                yield _path(branch), key


def _patients(resource: JsonObject, registry: Registry, *, base_url: str) -> frozenset[Key]:
    """The Patients a resource concerns."""
    served = registry.served(str(resource["resourceType"]))
    keys = _local_keys(_concerning(served), resource, base_url=base_url)
    return frozenset(key for key in keys if key.type == PATIENT)


def _concerning(served: ServedType) -> Iterator[Branch]:
    """The ways to the Patients a record of the type concerns: those of their compartment, and those of the table."""
    for parameter in served.membership:
        yield from parameter.branches
    yield from served.facts.about


def _concerned(
    resource: JsonObject, served: ServedType, patients: tuple[str, ...], *, base_url: str
) -> tuple[str, ...]:
    """The ids of the Patients in whose compartment a record is, and of those it is about by the table."""
    if not served.facts.about:
        return patients
    keys = _local_keys(served.facts.about, resource, base_url=base_url)
    return tuple(dict.fromkeys([*patients, *(key.id for key in keys if key.type == PATIENT)]))


def _encounter(resource: JsonObject, served: ServedType, *, base_url: str) -> tuple[str, Key] | None:
    """The first local Encounter a record names: (FHIRPath, Key)."""
    for branch in served.facts.encounter:
        for key in _local_keys((branch,), resource, base_url=base_url):
            if key.type == _ENCOUNTER:
                return _path(branch), key
    return None


def _ascent(unit: str | None, *, base_url: str, lookup: Lookup) -> Ownership:
    """Up `partOf` as far as local Organizations are named."""
    steps: dict[Key, JsonObject] = {}
    at = None if unit is None else Key(_ORGANIZATION, unit)
    while at is not None and at not in steps and len(steps) < _MAX_DEPTH:
        body = steps[at] = lookup(at) or {}
        parent = body.get("partOf")
        at = local_key(parent, base_url=base_url) if isinstance(parent, dict) else None
        if at is not None and at.type != _ORGANIZATION:
            at = None
    return Ownership(unit, tuple(steps.items()), at is None)


def _source(resource: JsonObject, authors: Iterable[Key], *, table: FactTable) -> Source:
    """As a tag says; else a patient's or relative's own, or the staff's."""
    for tag in _meta(resource, "tag"):
        if tag.get("system") == table.source_system:
            match tag.get("code"):
                case "staff":
                    return "staff"
                case "patient":
                    return "patient"
                case _:
                    return "external"
    return "patient" if any(author.type in table.patient_authors for author in authors) else "staff"


def _confidentiality(resource: JsonObject, table: FactTable) -> str:
    codes = [label.get("code") for label in _meta(resource, "security") if _is_confidentiality(label, table)]
    ranks = [CONFIDENTIALITY.index(code) if code in CONFIDENTIALITY else len(CONFIDENTIALITY) - 1 for code in codes]
    return CONFIDENTIALITY[max(ranks)] if ranks else "N"


def _labels(resource: JsonObject, table: FactTable) -> tuple[str, ...]:
    labels = [label for label in _meta(resource, "security") if not _is_confidentiality(label, table)]
    return tuple(dict.fromkeys(f"{_text(label.get('system'))}|{_text(label.get('code'))}" for label in labels))


def _is_confidentiality(label: JsonObject, table: FactTable) -> bool:
    return label.get("system") == table.confidentiality_system


def _binaries(resource: JsonObject, type: str, *, base_url: str) -> tuple[str, ...]:
    urls = (_text(attachment.node.get("url")) for attachment in find_attachments(resource, type))
    ids = (local_binary_id(url, base_url) for url in urls)
    return tuple(dict.fromkeys(identity for identity in ids if identity is not None))


def _scopable_tokens(served: ServedType, entries: IndexEntries) -> dict[str, tuple[str, ...]]:
    """Each value as `system|code`, where it has a system, and as bare code."""
    tokens = {}
    for code, parameter in served.parameters.items():
        if parameter.scopable:
            values = [value for value in entries.values.get(code, ()) if isinstance(value, TokenValue)]
            forms = [f"{value.system}|{value.code}" for value in values if value.system and value.code]
            forms.extend(value.code for value in values if value.code)
            if forms:
                tokens[code] = tuple(dict.fromkeys(forms))
    return tokens


def _local_keys(branches: Iterable[Branch], resource: JsonObject, *, base_url: str) -> list[Key]:
    """The Keys of ours that Reference elements name, in document order."""
    keys = (local_key(node, base_url=base_url) for branch in branches for node in branch.values(resource))
    return [key for key in keys if key is not None]


def _path(branch: Branch) -> str:
    return branch.element.path if branch.element is not None else branch.type


def _meta(resource: JsonObject, name: str) -> Iterator[JsonObject]:
    meta = resource.get("meta")
    return _objects(meta.get(name)) if isinstance(meta, dict) else iter(())


def _codings(concepts: Json) -> Iterator[JsonObject]:
    for concept in _objects(concepts):
        yield from _objects(concept.get("coding"))


def _objects(values: Json) -> Iterator[JsonObject]:
    for value in values if isinstance(values, list) else ():
        if isinstance(value, dict):
            yield value


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""
