"""The grammar of the FHIRPath subset that constraints are written in: text to a small tree, everything else refused.

Operators bind as in FHIRPath: `.` first, then `+`, `|`, the orders, `=` and `!=`, `in`, `and`, `or` with `xor`, and
`implies` last.
"""

import re
from dataclasses import dataclass
from decimal import Decimal

from fhirmedia.core.errors import Category, Failure


@dataclass(frozen=True, slots=True)
class Literal:
    """`'text'`, `true`, `0`."""

    value: str | bool | int | Decimal


@dataclass(frozen=True, slots=True)
class Variable:
    """`%resource`, `%ucum`, `$this`."""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """`source.name`; without a source the element is one of the item at hand."""

    source: "Node | None"
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """`source.name(arguments)`; without a source the function is asked of the item at hand."""

    source: "Node | None"
    name: str
    arguments: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Operation:
    """`left operator right`."""

    operator: str
    left: "Node"
    right: "Node"


Node = Literal | Variable | Member | Call | Operation

_LEVELS = (("implies",), ("or", "xor"), ("and",), ("in",), ("=", "!="), ("<", ">", "<=", ">="), ("|",), ("+",))
"""Operators from those that bind last to those that bind first."""

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'[^'\\]*')|(?P<number>[0-9]+(?:\.[0-9]+)?)|(?P<name>[A-Za-z_]\w*)|`(?P<quoted>\w+)`"
    r"|(?P<variable>[%$]\w+)|(?P<mark>!=|<=|>=|[().,=<>|+]))"
)

_Token = tuple[str, str]


def parse_constraint(expression: str) -> Node:
    """The tree of a constraint; raises Failure INVALID outside the subset."""
    parser = _Parser(_tokens(expression))
    tree = parser.level(0)
    if parser.tokens:
        raise outside("something after its end")
    return tree


def outside(what: str) -> Failure:
    """The Failure for an expression that is not compiled."""
    return Failure(Category.INVALID, f"A constraint uses {what}, which the compiled subset does not have.")


def _tokens(expression: str) -> list[_Token]:
    """The tokens, last first, so that the next one is taken from the end."""
    tokens: list[_Token] = []
    at, text = 0, expression.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise outside("a sign")
        kind = "name" if found.lastgroup == "quoted" else found.lastgroup
        tokens.append((kind, found.group(found.lastgroup)))
        at = found.end()
    return tokens[::-1]


@dataclass(slots=True)
class _Parser:
    tokens: list[_Token]

    def level(self, depth: int) -> Node:
        if depth == len(_LEVELS):
            return self.invocation()
        left = self.level(depth + 1)
        while self.tokens and self.tokens[-1][1] in _LEVELS[depth] and self.tokens[-1][0] in ("mark", "name"):
            operator = self.tokens.pop()[1]
            left = Operation(operator, left, self.level(depth + 1))
        return left

    def invocation(self) -> Node:
        node = self.term()
        while self.accept("."):
            node = self.named(node)
        return node

    def term(self) -> Node:
        if self.accept("("):
            inner = self.level(0)
            self.expect(")")
            return inner
        kind, text = self.tokens[-1] if self.tokens else ("", "")
        if kind == "name" and text not in ("true", "false"):
            return self.named(None)
        if kind in ("", "mark"):
            raise outside("nothing where a value belongs")
        self.tokens.pop()
        match kind:
            case "text":
                return Literal(text[1:-1])
            case "number":
                return Literal(Decimal(text) if "." in text else int(text))
            case "variable":
                return Variable(text)
        return Literal(text == "true")

    def named(self, source: Node | None) -> Node:
        kind, name = self.tokens.pop() if self.tokens else ("", "")
        if kind != "name":
            raise outside("something other than a name")
        if not self.accept("("):
            return Member(source, name)
        arguments: list[Node] = []
        while not self.accept(")"):
            if arguments:
                self.expect(",")
            arguments.append(self.level(0))
        return Call(source, name, tuple(arguments))

    def accept(self, mark: str) -> bool:
        if not self.tokens or self.tokens[-1] != ("mark", mark):
            return False
        self.tokens.pop()
        return True

    def expect(self, mark: str) -> None:
        if not self.accept(mark):
            raise outside(f"something else where {mark} belongs")
