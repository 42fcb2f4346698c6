"""The grammar of the FHIRPath subset that search parameters use: text to a small tree, everything else refused."""

import re
from dataclasses import dataclass, field
from typing import Literal

from fhirmedia.core.errors import Category, Failure

Value = str | bool


@dataclass(frozen=True, slots=True)
class Member:
    """`.name`"""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Cast:
    """`.as(Type)`, also written `(path as Type)` or `.ofType(Type)`."""

    type: str

    def __str__(self) -> str:
        return f"as({self.type})"


@dataclass(frozen=True, slots=True)
class Extension:
    """`.extension('url')`"""

    url: str

    def __str__(self) -> str:
        return f"extension('{self.url}')"


@dataclass(frozen=True, slots=True)
class Select:
    """`.select('literal')`: the literal, once for each item."""

    literal: str

    def __str__(self) -> str:
        return f"select('{self.literal}')"


@dataclass(frozen=True, slots=True)
class Where:
    """`.where(test and test)`"""

    tests: "tuple[Test, ...]"

    def __str__(self) -> str:
        return f"where({_joined(self.tests)})"


@dataclass(frozen=True, slots=True)
class Path:
    """Steps from a resource type (a first step in capitals) or from the item at hand."""

    steps: tuple[Member | Cast | Extension | Select | Where, ...]

    @property
    def head(self) -> str | None:
        """The type the path begins with; None for a path relative to the item at hand."""
        first = self.steps[0]
        return first.name if isinstance(first, Member) and first.name[0].isupper() else None

    def __str__(self) -> str:
        return ".".join(map(str, self.steps))


@dataclass(frozen=True, slots=True)
class Comparison:
    """`path = literal`, `path != literal`."""

    path: Path
    operator: Literal["=", "!="]
    value: Value

    def __str__(self) -> str:
        shown = f"'{self.value}'" if isinstance(self.value, str) else str(self.value).lower()
        return f"{self.path} {self.operator} {shown}"


@dataclass(frozen=True, slots=True)
class Presence:
    """`path.exists()`, or with `wanted` False `path.empty()`."""

    path: Path
    wanted: bool

    def __str__(self) -> str:
        return f"{self.path}.{'exists' if self.wanted else 'empty'}()"


@dataclass(frozen=True, slots=True)
class Prefix:
    """`path.startsWith('literal')`."""

    path: Path
    literal: str

    def __str__(self) -> str:
        return f"{self.path}.startsWith('{self.literal}')"


@dataclass(frozen=True, slots=True)
class ResolvesTo:
    """`resolve() is Type`, the one use of `resolve()` in the definitions of R4."""

    type: str

    def __str__(self) -> str:
        return f"resolve() is {self.type}"


Test = Comparison | Presence | Prefix | ResolvesTo


@dataclass(frozen=True, slots=True)
class BooleanTest:
    """Tests joined by `and` standing where a path could: they yield true or false."""

    tests: tuple[Test, ...]

    @property
    def head(self) -> str | None:
        """The type its first path begins with."""
        first = self.tests[0]
        return None if isinstance(first, ResolvesTo) else first.path.head

    def __str__(self) -> str:
        return _joined(self.tests)


def refusal(what: str) -> Failure:
    """The Failure for an expression that is not compiled."""
    return Failure(Category.INVALID, f"A search expression uses {what}, which the compiled subset does not have.")


def parse_union(expression: str) -> tuple[Path | BooleanTest, ...]:
    """The branches of a union; raises Failure INVALID outside the subset. `str` of a branch parses to it again."""
    return _Parser(expression).union()


def _joined(tests: tuple[Test, ...]) -> str:
    return " and ".join(map(str, tests))


_TOKEN = re.compile(r"\s*(?:(?P<name>[A-Za-z_]\w*)|'(?P<text>[^'\\]*)'|(?P<mark>!=|[().|=]))")


@dataclass(slots=True)
class _Parser:
    expression: str
    tokens: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        at, text = 0, self.expression.rstrip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                raise refusal("a sign")
            self.tokens.append((found.lastgroup or "", found.group(found.lastgroup or 0)))
            at = found.end()
        self.tokens.reverse()

    def union(self) -> tuple[Path | BooleanTest, ...]:
        branches = [self.branch()]
        while self.tokens:
            self.expect("|")
            branches.append(self.branch())
        return tuple(branches)

    def branch(self) -> Path | BooleanTest:
        first = self.test_or_path()
        if isinstance(first, Path):
            return first
        return BooleanTest((first, *self.further_tests()))

    def further_tests(self) -> list[Test]:
        tests: list[Test] = []
        while self.accept("and"):
            tests.append(self.test())
        return tests

    def test(self) -> Test:
        found = self.test_or_path()
        if isinstance(found, Path):
            raise refusal("a path where a test belongs")
        return found

    def test_or_path(self) -> Test | Path:
        if self.tokens[-4:] == [("name", "is"), ("mark", ")"), ("mark", "("), ("name", "resolve")]:
            del self.tokens[-4:]
            return ResolvesTo(self.name())
        path = self.path()
        if self.accept("as"):
            return Path((*path.steps, Cast(self.name())))
        if self.accept("="):
            return Comparison(path, "=", self.literal())
        if self.accept("!="):
            return Comparison(path, "!=", self.literal())
        return self.ending(path)

    def ending(self, path: Path) -> Test | Path:
        if self.accept("exists", call=True):
            return Presence(path, wanted=True)
        if self.accept("empty", call=True):
            return Presence(path, wanted=False)
        if self.accept("startsWith", call=True, closed=False):
            return Prefix(path, self.text_argument())
        return path

    def path(self) -> Path:
        if self.accept("("):
            inner = self.test_or_path()
            if not isinstance(inner, Path):
                raise refusal("a test in brackets")
            self.expect(")")
            steps = list(inner.steps)
        else:
            steps = [self.step()]
        while self.accept("."):
            if self.tokens and self.tokens[-1] in {("name", "exists"), ("name", "empty"), ("name", "startsWith")}:
                break
            steps.append(self.step())
        return Path(tuple(steps))

    def step(self) -> Member | Cast | Extension | Select | Where:
        name = self.name()
        if not self.accept("("):
            return Member(name)
        match name:
            case "as" | "ofType":
                kind = self.name()
                self.expect(")")
                return Cast(kind)
            case "extension":
                return Extension(self.text_argument())
            case "select":
                return Select(self.text_argument())
            case "where":
                tests = (self.test(), *self.further_tests())
                self.expect(")")
                return Where(tests)
            case _:
                raise refusal(f"the function {name}()")

    def literal(self) -> Value:
        kind, value = self.tokens.pop() if self.tokens else ("", "")
        if kind == "text":
            return value
        if kind == "name" and value in {"true", "false"}:
            return value == "true"
        raise refusal("a comparison with something other than a literal")

    def text_argument(self) -> str:
        kind, value = self.tokens.pop() if self.tokens else ("", "")
        if kind != "text":
            raise refusal("a function whose argument is not a literal")
        self.expect(")")
        return value

    def name(self) -> str:
        kind, value = self.tokens.pop() if self.tokens else ("", "")
        if kind != "name":
            raise refusal("something other than a name")
        return value

    def accept(self, word: str, *, call: bool = False, closed: bool = True) -> bool:
        """Take the word if it is next; with `call` also its bracket, and its closing one if `closed`."""
        if not self.tokens or self.tokens[-1][0] == "text" or self.tokens[-1][1] != word:
            return False
        self.tokens.pop()
        if call:
            self.expect("(")
            if closed:
                self.expect(")")
        return True

    def expect(self, mark: str) -> None:
        if not self.accept(mark):
            raise refusal(f"something else where {mark} belongs")
