"""Person numbers as they come in: one that fails its own system's check is refused at the door."""

from fhirmedia.core.errors import Issue
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.person_numbers import check


def check_identifiers(resource: JsonObject, *, environment: str) -> list[Issue]:
    """An issue for each business identifier of the resource whose value its system does not allow."""
    identifiers = resource.get("identifier")
    issues = []
    for index, identifier in enumerate(identifiers if isinstance(identifiers, list) else [identifiers]):
        if not isinstance(identifier, dict):
            continue
        system, value = identifier.get("system"), identifier.get("value")
        if isinstance(system, str) and isinstance(value, str):
            problem = check(system, value, environment=environment)
            if problem is not None:
                path = f"{resource['resourceType']}.identifier[{index}].value"
                issues.append(Issue("value", problem, path))
    return issues
