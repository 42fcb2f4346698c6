"""$validate (FHIR R4, Resource): what a write would say of a resource, without writing it.

The resource itself is looked at. Whether its references lead anywhere, its Binaries may be claimed, its patient and
unit are within the Caller's reach, or others depend on it is decided when it is written or deleted, and only then:
nothing about stored records is told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fhirmedia.access.grant import Action
from fhirmedia.core.errors import Category, Failure, Issue
from fhirmedia.core.records import Key
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.resource_in import findings
from fhirmedia.r4.invariants import advice
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.profile_rules import own_profiles

Mode = Literal["create", "update", "delete", "profile"]


@dataclass(frozen=True, slots=True)
class Validation:
    """What is asked: a resource (None: the stored one), the interaction in mind, and profiles by canonical URL."""

    resource: JsonObject | None = None
    mode: Mode | None = None
    profiles: Sequence[str] = ()


async def validate(archive: Archive, asker: Asker, kind: str, asked: Validation, *, key: Key | None) -> list[Issue]:
    """The errors and warnings, empty if there is nothing to say. `key` is the instance the operation is asked of.

    It takes a right to do what is asked about: to create or update where a resource is sent, to delete in that mode, to
    read where the stored resource is meant. Raises Failure FORBIDDEN, NOT_FOUND, GONE, NOT_ALLOWED, INVALID.
    """
    archive.registry.require_operation(kind, "validate")
    async with archive.custodian.session(asker.caller, "validate", note=asker.note) as session:
        require_right(archive, asker, kind, asked)
        if key is not None and (asked.resource is None or asked.mode == "delete"):
            stored = parse_json((await session.read(key)).body or b"{}")
            return [] if asked.mode == "delete" else _judged(archive, stored, kind, asked.profiles)
        if asked.resource is None or asked.mode == "delete":
            text = "A resource to validate must be sent, or the operation asked of one that is stored."
            raise Failure(Category.INVALID, text, code="required", expression="Parameters.parameter")
        issues = _identity(asked, kind, key)
        return issues or _judged(archive, asked.resource, kind, asked.profiles)


def require_right(archive: Archive, asker: Asker, kind: str, asked: Validation) -> None:
    """Refuse who could do nothing of what is asked about. Raises Failure FORBIDDEN."""
    grant = archive.custodian.grant(asker.caller)
    actions: tuple[Action, ...] = ("create", "update")
    if asked.mode == "delete":
        actions = ("delete",)
    elif asked.resource is None:
        actions = ("read",)
    elif asked.mode in ("create", "update"):
        actions = (asked.mode,)
    if not any(grant.may(action, kind) for action in actions):
        grant.require(actions[0], kind)


def _identity(asked: Validation, kind: str, key: Key | None) -> list[Issue]:
    """What is wrong about the id for the interaction in mind."""
    stated = (asked.resource or {}).get("id")
    where = f"{kind}.id"
    if asked.mode == "create" and key is not None:
        return [Issue("business-rule", f"{kind} is there already and is not created again", kind)]
    if asked.mode == "update" and stated is None:
        return [Issue("required", f"{where} is required in an update", where)]
    if asked.mode == "update" and key is not None and stated != key.id:
        return [Issue("value", f"{where} must be the id of the URL in an update", where)]
    return []


def _judged(archive: Archive, resource: JsonObject, kind: str, profiles: Sequence[str]) -> list[Issue]:
    issues = findings(archive, resource, kind=kind)
    if any(issue.severity == "error" for issue in issues):
        return issues
    for url in profiles:
        profile = own_profiles().get(url.partition("|")[0])
        if profile is None:
            issues.append(Issue("not-supported", "A profile asked for is not one this server can hold resources to."))
        elif profile.type != kind:
            issues.append(Issue("invariant", f"{kind} is not the type a profile asked for is about", kind))
        else:
            issues.extend(profile.issues(resource))
    return list(dict.fromkeys([*issues, *advice(resource, type=kind)]))
