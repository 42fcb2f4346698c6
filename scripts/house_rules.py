"""The house rules that need a syntax tree, one function each; scripts/lint_house.py runs them.

A rule yields Findings. A finding is excused by a comment `# <rule>: why` on the first or last line of its statement,
on its own line, or on the line above.
"""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

BANNED_WORDS = frozenset(
    "repository repositories manager managers service services helper helpers util utils common base".split()
)

RESOURCE_TYPES = frozenset(
    """Account ActivityDefinition AdverseEvent AllergyIntolerance Appointment AppointmentResponse AuditEvent Basic
    Binary BiologicallyDerivedProduct BodyStructure CarePlan CareTeam CatalogEntry ChargeItem ChargeItemDefinition
    Claim ClaimResponse ClinicalImpression CodeSystem Communication CommunicationRequest CompartmentDefinition
    Composition ConceptMap Condition Consent Contract Coverage CoverageEligibilityRequest CoverageEligibilityResponse
    DetectedIssue Device DeviceDefinition DeviceMetric DeviceRequest DeviceUseStatement DiagnosticReport
    DocumentManifest DocumentReference EffectEvidenceSynthesis Encounter Endpoint EnrollmentRequest EnrollmentResponse
    EpisodeOfCare EventDefinition Evidence EvidenceVariable ExampleScenario ExplanationOfBenefit FamilyMemberHistory
    Flag Goal GraphDefinition Group GuidanceResponse HealthcareService ImagingStudy Immunization
    ImmunizationEvaluation ImmunizationRecommendation ImplementationGuide InsurancePlan Invoice Library Linkage List
    Location Measure MeasureReport Media Medication MedicationAdministration MedicationDispense MedicationKnowledge
    MedicationRequest MedicationStatement MedicinalProduct MessageDefinition MessageHeader MolecularSequence
    NamingSystem NutritionOrder Observation ObservationDefinition OperationDefinition Organization
    OrganizationAffiliation Patient PaymentNotice PaymentReconciliation Person PlanDefinition Practitioner
    PractitionerRole Procedure Provenance Questionnaire QuestionnaireResponse RelatedPerson RequestGroup
    ResearchDefinition ResearchElementDefinition ResearchStudy ResearchSubject RiskAssessment
    RiskEvidenceSynthesis Schedule SearchParameter ServiceRequest Slot Specimen SpecimenDefinition StructureDefinition
    StructureMap Subscription Substance SupplyDelivery SupplyRequest Task TerminologyCapabilities TestReport
    TestScript ValueSet VerificationResult VisionPrescription""".split()
)
"""R4 resource types but those of the protocol itself (Bundle, Parameters, OperationOutcome, CapabilityStatement)."""

HOMONYMS = {"Location": "fhirmedia/web/", "Basic": "fhirmedia/web/"}
"""Types whose name is also an HTTP word, and where that word is at home."""

HTTP_NUMBERS = frozenset(
    {401, 403, 404, 405, 406, 409, 410, 412, 413, 414, 415, 416, 422, 428, 429, 431, 501, 502, 503, 504, 507}
)
ABOVE_HTTP = ("fhirmedia/web/", "fhirmedia/app", "fhirmedia/cli/", "fhirmedia/demo/", "fhirmedia/backends/elastic/")
"""Who knows HTTP: what answers it, and what asks a server of others."""

SYSTEM_HOMES = ("fhirmedia/cli/", "fhirmedia/custody/")
CLOCK_HOMES = ("fhirmedia/core/clock.py", "fhirmedia/core/ids.py")
PUBLIC_ALL_THE_SAME = frozenset({"_replace", "_asdict", "_fields", "_make", "_field_defaults", "_exit", "_getframe"})
"""Underscore members that the standard library documents: of named tuples, os and sys."""

UNSAFE_MODULES = frozenset({"pickle", "cPickle", "_pickle", "shelve", "marshal", "dill", "joblib", "torch"})


class Finding(NamedTuple):
    """One breach: line from 1, the rule's name, a sentence."""

    line: int
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class Module:
    """One parsed file; `path` is relative to the repository, with slashes."""

    path: str
    source: str
    tree: ast.Module


Rule = Callable[[Module], Iterator[Finding]]


def words_of(name: str) -> list[str]:
    """The lower-case words of a snake_case or CamelCase name."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name)]


def opening(module: Module) -> Iterator[Finding]:
    """Every file says its one reason to exist in its first line."""
    first = module.tree.body[0] if module.tree.body else None
    start = 2 if module.source.startswith("#!") else 1
    text = ast.get_docstring(module.tree)
    if first is None or not text or first.lineno != start or not text.splitlines()[0].strip():
        yield Finding(1, "opening", "the first line is a docstring that says why the file exists")


def names(module: Module) -> Iterator[Finding]:
    """Modules, packages and classes are called by the domain's word."""
    for part in PurePosixPath(module.path).with_suffix("").parts:
        if BANNED_WORDS.intersection(words_of(part)):
            yield Finding(1, "names", f"'{part}' says nothing; use the domain's word")
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef) and BANNED_WORDS.intersection(words_of(node.name)):
            yield Finding(node.lineno, "names", f"class {node.name} says nothing; use the domain's word")


def _private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("_") and name not in PUBLIC_ALL_THE_SAME


def reach(module: Module) -> Iterator[Finding]:
    """Nobody touches an underscore member but its own class."""

    def visit(node: ast.AST, owners: frozenset[str]) -> Iterator[Finding]:
        if isinstance(node, ast.ClassDef):
            owners |= {node.name}
        elif isinstance(node, ast.Attribute) and _private(node.attr):
            if not (isinstance(node.value, ast.Name) and node.value.id in owners) and not _is_own(node.value):
                yield Finding(node.lineno, "reach", f"{node.attr} belongs to another object")
        elif isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("fhirmedia")):
            for alias in node.names:
                if _private(alias.name):
                    yield Finding(node.lineno, "reach", f"{alias.name} belongs to another module")
        for child in ast.iter_child_nodes(node):
            yield from visit(child, owners)

    yield from visit(module.tree, frozenset({"self", "cls"}))


def _is_own(node: ast.expr) -> bool:
    """`super()` and `type(self)`."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"super", "type"}


def unscoped(module: Module) -> Iterator[Finding]:
    """A Caller that may do everything is made in few places, each with its reason."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="Caller"), attr="system")):
                if module.path.startswith(SYSTEM_HOMES):
                    yield Finding(node.lineno, "unscoped", "Caller.system() needs a comment `# unscoped: why`")
                else:
                    yield Finding(node.lineno, "unscoped-place", "Caller.system() is called in cli and custody only")


def http(module: Module) -> Iterator[Finding]:
    """Below web nobody knows an HTTP number; nobody injects dependencies."""
    above = module.path.startswith(ABOVE_HTTP)
    for node in ast.walk(module.tree):
        match node:
            case ast.Name(id="Depends") | ast.Attribute(attr="Depends") | ast.alias(name="Depends"):
                yield Finding(node.lineno, "depends", "the unit of work opens inside the interaction; no Depends")
            case ast.ImportFrom(module=str(origin), names=aliases) if origin.startswith(("fastapi", "starlette")):
                if not above and any(alias.name == "HTTPException" for alias in aliases):
                    yield Finding(node.lineno, "http-number", "raise Failure; web turns its category into HTTP")
            case ast.Call(func=ast.Name(id="HTTPException")):
                yield Finding(node.lineno, "http-number", "raise Failure; web turns its category into HTTP")
            case ast.Name(id="HTTPStatus") | ast.alias(name="HTTPStatus") if not above:
                yield Finding(node.lineno, "http-number", "below web nobody knows an HTTP number")
            case ast.Constant(value=int(number)) if not above and number in HTTP_NUMBERS:
                yield Finding(
                    node.lineno, "http-number", f"{number} reads like an HTTP status; below web nobody knows one"
                )


def deserialise(module: Module) -> Iterator[Finding]:
    """Nothing turns bytes into code."""
    for node in ast.walk(module.tree):
        imported: list[str] = []
        match node:
            case ast.Import(names=aliases):
                imported = [alias.name for alias in aliases]
            case ast.ImportFrom(module=str(name)):
                imported = [name]
            case ast.Call(func=ast.Name(id="eval" | "exec" | "compile" as called)):
                yield Finding(node.lineno, "deserialise", f"{called}() turns text into code")
            case ast.Call(func=ast.Attribute(value=ast.Name(id="yaml"), attr="load" | "load_all" | "unsafe_load")):
                yield Finding(node.lineno, "deserialise", "yaml.load() turns text into objects")
        for name in imported:
            if name.partition(".")[0] in UNSAFE_MODULES:
                yield Finding(getattr(node, "lineno", 1), "deserialise", f"{name} turns bytes into code")


def clock(module: Module) -> Iterator[Finding]:
    """Time is an argument."""
    if module.path in CLOCK_HOMES:
        return
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="time"), attr="time" | "time_ns" | "localtime" | "gmtime")
            ):
                yield Finding(node.lineno, "clock", "take a Clock instead of asking the machine")
            case ast.Call(func=ast.Attribute(value=ast.Name(id="datetime" | "date"), attr="now" | "utcnow" | "today")):
                yield Finding(node.lineno, "clock", "take a Clock instead of asking the machine")
            case ast.Call(
                func=ast.Attribute(value=ast.Attribute(attr="datetime" | "date"), attr="now" | "utcnow" | "today")
            ):
                yield Finding(node.lineno, "clock", "take a Clock instead of asking the machine")
            case ast.ImportFrom(module="time", names=aliases):
                if {"time", "time_ns"}.intersection(alias.name for alias in aliases):
                    yield Finding(node.lineno, "clock", "take a Clock instead of asking the machine")


def error_text(module: Module) -> Iterator[Finding]:
    """What a library says about bad input holds the input: it enters no Failure, no log, no answer."""

    def visit(node: ast.AST, caught: frozenset[str]) -> Iterator[Finding]:
        if isinstance(node, ast.ExceptHandler) and node.name:
            caught |= {node.name}
        spoken: ast.expr | None = None
        match node:
            case ast.FormattedValue(value=value):
                spoken = value
            case ast.Call(
                func=ast.Name(id="str" | "repr" | "format" | "Failure" | "Issue"), args=args, keywords=keywords
            ):
                held = [*args, *(keyword.value for keyword in keywords)]
                spoken = next((each for each in held if isinstance(each, ast.Name) and each.id in caught), None)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="traceback"), attr=attribute)) if attribute.startswith(
                ("format", "print")
            ):
                yield Finding(node.lineno, "error-text", "a traceback holds what the client sent")
            case ast.Call(func=ast.Attribute(attr="exception", value=ast.Name(id=owner))) if "log" in owner.lower():
                yield Finding(node.lineno, "error-text", "logger.exception() writes what the client sent")
            case ast.keyword(arg="exc_info", value=value) if not (isinstance(value, ast.Constant) and not value.value):
                yield Finding(value.lineno, "error-text", "exc_info writes what the client sent")
        if isinstance(spoken, ast.Name) and spoken.id in caught:
            yield Finding(spoken.lineno, "error-text", "the text of an exception holds what the client sent")
        for child in ast.iter_child_nodes(node):
            yield from visit(child, caught)

    yield from visit(module.tree, frozenset())


def type_name(module: Module) -> Iterator[Finding]:
    """Resource types are data; a type's name in Python needs a reason."""
    if module.path.startswith("fhirmedia/demo/"):
        return
    documentation = {
        id(node.value)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in documentation:
            continue
        name = node.value.partition("/")[0] if re.fullmatch(r"\w+(/\S*)?", node.value) else ""
        if name in RESOURCE_TYPES and not module.path.startswith(HOMONYMS.get(name, "\0")):
            yield Finding(
                node.lineno, "type-name", f"{name} is named in Python; put it into a profile or say `# type-name: why`"
            )


IN_THE_PACKAGE: tuple[Rule, ...] = (names, reach, unscoped, http, deserialise, clock, error_text, type_name)
EVERYWHERE: tuple[Rule, ...] = (opening,)
