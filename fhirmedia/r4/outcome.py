"""OperationOutcome from a Failure's issues (FHIR R4, OperationOutcome)."""

from collections.abc import Iterable

from fhirmedia.core.errors import Issue
from fhirmedia.r4.json_types import JsonObject


def operation_outcome(issues: Iterable[Issue]) -> JsonObject:
    """The resource; each issue has severity, code, a sentence in `diagnostics`, and the element where there is one."""
    return {"resourceType": "OperationOutcome", "issue": [_issue(each) for each in issues]}


def all_ok(text: str) -> JsonObject:
    """An outcome that only informs."""
    return operation_outcome([Issue("informational", text, severity="information")])


def _issue(issue: Issue) -> JsonObject:
    stated: JsonObject = {"severity": issue.severity, "code": issue.code, "diagnostics": issue.text}
    if issue.expression is not None:
        stated["expression"] = [issue.expression]
    return stated
