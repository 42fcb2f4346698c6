"""A Query in words: what its author finds out how it was understood by, own values included."""

from fhirmedia.core.clock import instant
from fhirmedia.r4.query import (
    All,
    Any,
    Chain,
    CompositeTest,
    DateTest,
    FactHas,
    FactIn,
    FactToken,
    Has,
    InCompartment,
    Match,
    Missing,
    Not,
    NumberTest,
    OfType,
    QuantityTest,
    Query,
    ReferenceTest,
    StringTest,
    Test,
    Text,
    TokenTest,
    UriTest,
)

_DATES = {
    "eq": "lies within [{lo}, {hi})",
    "ne": "does not lie within [{lo}, {hi})",
    "gt": "goes on after {hi}",
    "ge": "goes on after {lo}",
    "lt": "begins before {lo}",
    "le": "begins before {hi}",
    "sa": "begins at {hi} or later",
    "eb": "has ended by {lo}",
    "ap": "overlaps [{lo}, {hi})",
}
_NUMBERS = {
    "eq": "lies within [{lo}, {hi})",
    "ne": "does not lie within [{lo}, {hi})",
    "gt": "reaches above {hi}",
    "ge": "reaches {lo} or above",
    "lt": "reaches below {lo}",
    "le": "reaches {hi} or below",
    "sa": "lies wholly above {hi}",
    "eb": "lies wholly below {lo}",
    "ap": "overlaps [{lo}, {hi})",
}
_STRINGS = {"starts": "begins with", "contains": "contains", "exact": "is exactly"}
_URIS = {"exact": "is", "below": "is or is below", "above": "is or is above", "begins": "begins with"}


def in_words(query: Query) -> str:
    """One sentence; parts of it that are joined stand in parentheses.

    Access rules are told by the fact they test and not by its values: those are not the author's.
    """
    match query:
        case All(parts):
            return _joined(parts, " and ") or "everything"
        case Any(parts):
            return _joined(parts, " or ") or "nothing"
        case Not(part):
            return f"not ({in_words(part)})"
        case Match(parameter, tests):
            return f"{parameter} {' or '.join(map(_test, tests))}"
        case Missing(parameter):
            return f"{parameter} is absent"
        case OfType(types):
            return f"the type is {' or '.join(sorted(types))}"
        case InCompartment(patient):
            return f"it is in the compartment of Patient/{patient}"
        case Chain(parameter, target):
            return f"{parameter} refers to one of which ({in_words(target)})"
        case Has(parameter, source):
            return f"{parameter} refers to it from one of which ({in_words(source)})"
        case Text():
            return _text(query)
        case FactIn(fact, _) | FactHas(fact, _):
            return f"its {fact.replace('_', ' ')} is among those your rights name"
        case FactToken(parameter, _):
            return f"its {parameter} is among those your rights name"


def _joined(parts: tuple[Query, ...], word: str) -> str:
    if len(parts) == 1:
        return in_words(parts[0])
    return word.join(f"({in_words(part)})" if isinstance(part, All | Any) else in_words(part) for part in parts)


def _text(text: Text) -> str:
    found = " or ".join(" and ".join(map(_term, terms)) for terms in text.alternatives)
    without = "".join(f" and not {_term(term)}" for term in text.excluded)
    return f"{text.field} has {found}{without}"


def _term(term: str) -> str:
    return f"the phrase '{term}'" if " " in term else f"a word that begins with '{term}'"


def _test(test: Test) -> str:
    match test:
        case TokenTest():
            return f"is {_token(test)}"
        case DateTest(prefix, lo, hi):
            return _DATES[prefix].format(lo=instant(lo), hi=instant(hi))
        case ReferenceTest():
            return _reference(test)
        case StringTest(mode, text):
            return f"{_STRINGS[mode]} '{text}'"
        case UriTest(mode, value):
            return f"{_URIS[mode]} {value}"
        case NumberTest():
            return _number(test)
        case QuantityTest():
            return _number(test.number) + _unit(test)
        case CompositeTest(parts):
            return "has together " + " and ".join(f"{parameter} that {_test(part)}" for parameter, part in parts)


def _token(test: TokenTest) -> str:
    code = "any code" if test.code is None else f"'{test.code}'"
    if test.below:
        code += " or below it"
    if test.no_system:
        return f"{code} without a system"
    return f"{code} of any system" if test.system is None else f"{code} of {test.system}"


def _reference(test: ReferenceTest) -> str:
    if test.identifier is not None:
        return f"refers to the identifier {_token(test.identifier)}"
    if test.key is None:
        return f"refers to {test.url}" + (" or a version below it" if test.below else "")
    version = "" if test.version is None else f", version {test.version}"
    return f"refers to {test.key.type}/{test.key.id}{version}"


def _number(test: NumberTest) -> str:
    return _NUMBERS[test.prefix].format(lo=f"{test.lo:.15g}", hi=f"{test.hi:.15g}")


def _unit(test: QuantityTest) -> str:
    if test.code is not None:
        return f" in {test.code} of {test.system}" if test.system is not None else f" in {test.code}"
    return "" if test.unit is None else f" in {test.unit}"
