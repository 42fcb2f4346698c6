"""Mutants of a module: every guard and restriction in it, weakened one at a time.

What is weakened: a guard (`if …: raise / continue / return nothing`) never fires; one operand of an `and` or `or` that
decides something is dropped; one filter of a comprehension is dropped; a question (`-> bool`, a lambda that compares)
is always answered with yes; a lone `raise` and a statement that only checks or records are left out; one part of an
`All((…))`, of `(*these, *those)` or of `a & b` is dropped; `x if permitted else None` is always x.
"""

import ast
import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

RECORDS_OR_CHECKS = re.compile(
    r"(?:^|_)(?:require|check|refuse|forbid|verify|validate|audit|touch|disclose|disclosed|refused|append|note|claim|"
    r"seal|sync|fsync|commit|narrow|admit|expect)(?:_|$|s$)"
)
"""Calls whose result nobody uses and whose absence nobody would notice without a test."""

JOINERS = re.compile(r"^_?(?:All|all|intersection)$")
NOTHING = re.compile(r"^(?:None|False|NOTHING|\(\)|\[\]|\{\}|0|frozenset\(\)|set\(\)|'')$")

Change = Callable[[ast.AST], None]


class Weakening(NamedTuple):
    """How a node is changed, in words and in deed; `place` is the statement or expression whose lines decide."""

    change: Change
    before: str
    after: str
    place: ast.AST


@dataclass(frozen=True, slots=True)
class Mutant:
    """One weakening; `node` counts in `ast.walk` order, `lines` are the first and last line that must be reached."""

    path: str
    function: str
    lines: tuple[int, int]
    before: str
    after: str
    node: int
    change: Change

    @property
    def name(self) -> str:
        """What excuses refer to: no line numbers, so that it survives edits elsewhere."""
        return f"{self.path} {self.function}: {self.before} -> {self.after}"

    def apply(self, tree: ast.Module) -> ast.Module:
        """A changed copy of the module's tree."""
        changed = copy.deepcopy(tree)
        target = next(node for index, node in enumerate(ast.walk(changed)) if index == self.node)
        self.change(target)
        return ast.fix_missing_locations(changed)


def mutants_of(path: str, source: str) -> list[Mutant]:
    """All mutants of one module, in the order of its lines."""
    tree = ast.parse(source)
    functions = _functions(tree)
    decisions = _decisions(tree)
    found: list[Mutant] = []
    for index, node in enumerate(ast.walk(tree)):
        for change, before, after, place in _weakenings(node, decides=id(node) in decisions):
            function = functions[id(place)]
            if function and before != after:
                found.append(Mutant(path, function, _lines(place), before, after, index, change))
    return sorted(found, key=lambda mutant: mutant.lines)


def _weakenings(node: ast.AST, *, decides: bool) -> Iterator[Weakening]:  # noqa: C901  # a table of cases
    match node:
        case ast.If(test=test, body=body) if _gives_up(body[-1]) and not _constant(test):
            yield Weakening(_test_becomes(False), f"if {_text(test)}: {_text(body[-1])}", "never", test)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            if NOTHING.match(_text(orelse)):
                yield Weakening(_test_becomes(True), _text(node), _text(body), test)
            elif NOTHING.match(_text(body)):
                yield Weakening(_test_becomes(False), _text(node), _text(orelse), test)
        case ast.BoolOp(op=operator, values=values) if decides or isinstance(operator, ast.And):
            for position, value in enumerate(values):
                yield Weakening(_drop_operand(position), _text(node), f"without {_text(value)}", value)
        case ast.comprehension(ifs=ifs):
            for position, test in enumerate(ifs):
                yield Weakening(_drop_filter(position), f"… if {_text(test)}", "no filter", test)
        case ast.Lambda(body=body) if _question(body):
            yield Weakening(_body_becomes_true, _text(node), "True", body)
        case ast.FunctionDef(returns=ast.Name(id="bool")) | ast.AsyncFunctionDef(returns=ast.Name(id="bool")):
            for position, answer in enumerate(_answers(node)):
                yield Weakening(_answer_yes(position), _text(answer), "return True", answer)
        case ast.Call(func=ast.Name(id=name), args=[ast.Tuple(elts=[_, _, *_] as parts) as joined]) if JOINERS.match(
            name
        ):
            if not _gathers(joined):
                for position, part in enumerate(parts):
                    yield Weakening(_drop_part(position), _text(node), f"without {_text(part)}", node)
        case ast.Tuple(elts=parts) if _gathers(node):
            for position, part in enumerate(parts):
                yield Weakening(_drop_part(position), _text(node), f"without {_text(part)}", node)
        case ast.BinOp(op=ast.BitAnd(), left=left, right=right):
            yield Weakening(_keep_left, _text(node), _text(left), node)
            yield Weakening(_keep_right, _text(node), _text(right), node)
    for field in ("body", "orelse", "finalbody"):
        statements = getattr(node, field, None)
        for position, each in enumerate(statements if isinstance(statements, list) else ()):
            if _only_guards(each, within=node):
                yield Weakening(_leave_out(field, position), _text(each), "left out", each)


def _decisions(tree: ast.Module) -> set[int]:
    """Ids of the expressions whose truth decides: tests, filters, answers, and what they are joined from."""
    found: set[int] = set()

    def mark(node: ast.expr) -> None:
        found.add(id(node))
        match node:
            case ast.BoolOp(values=values):
                for value in values:
                    mark(value)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                mark(operand)

    for node in ast.walk(tree):
        match node:
            case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test) | ast.Lambda(body=test):
                mark(test)
            case ast.comprehension(ifs=ifs):
                for each in ifs:
                    mark(each)
            case ast.FunctionDef(returns=ast.Name(id="bool")) | ast.AsyncFunctionDef(returns=ast.Name(id="bool")):
                for answer in _answers(node):
                    if answer.value is not None:
                        mark(answer.value)
    return found


def _gives_up(statement: ast.stmt) -> bool:
    match statement:
        case ast.Raise() | ast.Continue() | ast.Break():
            return True
        case ast.Return(value=value):
            return value is None or bool(NOTHING.match(ast.unparse(value)))
    return False


def _only_guards(statement: ast.stmt, *, within: ast.AST) -> bool:
    """A `raise` not under an `if` (that guard is weakened as a whole), or a call that checks or records."""
    match statement:
        case ast.Raise(exc=exc):
            return exc is not None and not isinstance(within, ast.If)
        case ast.Expr(value=ast.Await(value=ast.Call(func=called)) | ast.Call(func=called)):
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            local_list = isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and name == "append"
            return bool(RECORDS_OR_CHECKS.search(name)) and not local_list
    return False


def _gathers(node: ast.Tuple) -> bool:
    """`(*these, *those)`: restrictions from several sources put together."""
    return isinstance(node.ctx, ast.Load) and len(node.elts) > 1 and any(isinstance(e, ast.Starred) for e in node.elts)


def _question(node: ast.expr) -> bool:
    match node:
        case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            return True
        case ast.Call(func=ast.Name(id="all" | "any" | "bool")):
            return True
    return False


def _constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) or (isinstance(node, ast.Name) and node.id == "TYPE_CHECKING")


def _answers(function: ast.AST) -> list[ast.Return]:
    """The returns of a function itself that may say no."""
    found: list[ast.Return] = []
    waiting = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(node, ast.Return) and not (isinstance(node.value, ast.Constant) and node.value.value is True):
            found.append(node)
        waiting.extend(ast.iter_child_nodes(node))
    return found


def _test_becomes(value: bool) -> Change:  # noqa: FBT001  # the constant that is put in
    def change(node: ast.AST) -> None:
        assert isinstance(node, ast.If | ast.IfExp)
        node.test = ast.copy_location(ast.Constant(value), node.test)

    return change


def _drop_operand(position: int) -> Change:
    def change(node: ast.AST) -> None:
        assert isinstance(node, ast.BoolOp)
        neutral = ast.Constant(isinstance(node.op, ast.And))
        node.values[position] = ast.copy_location(neutral, node.values[position])

    return change


def _drop_filter(position: int) -> Change:
    def change(node: ast.AST) -> None:
        assert isinstance(node, ast.comprehension)
        del node.ifs[position]

    return change


def _answer_yes(position: int) -> Change:
    def change(node: ast.AST) -> None:
        answer = _answers(node)[position]
        answer.value = ast.copy_location(ast.Constant(True), answer.value or answer)

    return change


def _drop_part(position: int) -> Change:
    def change(node: ast.AST) -> None:
        joined = node.args[0] if isinstance(node, ast.Call) else node
        assert isinstance(joined, ast.Tuple)
        del joined.elts[position]

    return change


def _leave_out(field: str, position: int) -> Change:
    def change(node: ast.AST) -> None:
        statements: list[ast.stmt] = getattr(node, field)
        statements[position] = ast.copy_location(ast.Pass(), statements[position])

    return change


def _body_becomes_true(node: ast.AST) -> None:
    assert isinstance(node, ast.Lambda)
    node.body = ast.copy_location(ast.Constant(True), node.body)


def _keep_left(node: ast.AST) -> None:
    assert isinstance(node, ast.BinOp)
    node.right = node.left


def _keep_right(node: ast.AST) -> None:
    assert isinstance(node, ast.BinOp)
    node.left = node.right


def _functions(tree: ast.Module) -> dict[int, str]:
    """Node to the dotted name of the function around it, "" at module level."""
    found: dict[int, str] = {}

    def visit(node: ast.AST, path: tuple[str, ...], *, inside: bool) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            path = (*path, node.name)
            inside = inside or not isinstance(node, ast.ClassDef)
        elif isinstance(node, ast.Lambda) and not inside:
            path, inside = (*path, "lambda"), True
        found[id(node)] = ".".join(path) if inside else ""
        for child in ast.iter_child_nodes(node):
            visit(child, path, inside=inside)

    visit(tree, (), inside=False)
    return found


def _lines(place: ast.AST) -> tuple[int, int]:
    assert isinstance(place, ast.expr | ast.stmt)
    return place.lineno, place.end_lineno or place.lineno


def _text(node: ast.AST) -> str:
    """The node on one line."""
    return " ".join(ast.unparse(node).split())
