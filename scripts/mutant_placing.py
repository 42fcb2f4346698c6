"""Put the code of a mutant in place of the living functions of a process."""

import ast
import gc
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType, FunctionType

from scripts.mutations import Mutant


def living_functions(paths: frozenset[str]) -> list[FunctionType]:
    """Every function made so far from these files."""
    functions = [each for each in gc.get_objects() if isinstance(each, FunctionType)]
    return [function for function in functions if function.__code__.co_filename in paths]


def swap(root: Path, mutant: Mutant, *, source: str, functions: Sequence[FunctionType]) -> bool:
    """Put a mutant's code into the living functions of its module; False if it did not fit anywhere."""
    path = str(root / mutant.path)
    tree = ast.parse(source)
    old = dict(_codes(compile(tree, path, "exec", dont_inherit=True)))
    new = dict(_codes(compile(mutant.apply(tree), path, "exec", dont_inherit=True)))
    placed = False
    for function in functions:
        code = function.__code__
        if code.co_filename == path:
            key = next((key for key, original in old.items() if original == code), None)
            changed = new.get(key) if key else None
            if changed and changed != code and len(changed.co_freevars) == len(code.co_freevars):
                function.__code__ = changed
                placed = True
    return placed


def _codes(code: CodeType) -> Iterator[tuple[tuple[str, int, int], CodeType]]:
    """Every code object of a module by qualified name, first line and number among those that share both."""
    seen: Counter[tuple[str, int]] = Counter()

    def visit(outer: CodeType) -> Iterator[tuple[tuple[str, int, int], CodeType]]:
        for constant in outer.co_consts:
            if isinstance(constant, CodeType):
                place = (constant.co_qualname, constant.co_firstlineno)
                yield (*place, seen[place]), constant
                seen[place] += 1
                yield from visit(constant)

    return visit(code)
