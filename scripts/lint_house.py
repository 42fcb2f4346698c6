"""The house lint: what style asks for and no general linter knows. Prints findings, exits with 1 if there are any."""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.house_rules import EVERYWHERE, IN_THE_PACKAGE, Finding, Module

LONGEST_FILE = 400
"""Lines of one source file; at 300 look for the seam."""

CODE = (".py", ".js", ".mjs", ".css", ".html", ".c", ".sh")
PROSE = (".md", ".toml", ".yml", ".yaml", ".json", ".txt")
NOT_OURS = ("requirements", "LICENSE", "profiles/r4/")
"""Paths whose text others wrote: locks, the licence, tables of the standard."""

UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
MACHINE_PATH = re.compile(
    r"/(?:work/(?:main|shared|steering)|root|farm|Users|opt/wheels|tmp/bash_jobs)\b|/home/(?!nonroot)[a-z]"
)
REGISTRY = re.compile(r"\b(?:pypi|pythonhosted|registry\.npmjs|repo1?\.maven|proxy\.golang)[.]org\b")
ESCAPE = re.compile(
    r"#\s*(?P<kind>noqa(?::\s*[A-Z]+[0-9]+(?:,\s*[A-Z]+[0-9]+)*)?"
    r"|type:\s*ignore(?:\[[\w\-, ]+\])?"
    r"|pragma:\s*no (?:cover|branch)"
    r"|(?:ruff|mypy|flake8):\s*[\w\-]+(?::?\s*[A-Z]+[0-9]+|=\S+)?"
    r")(?P<why>.*)",
    re.IGNORECASE,
)
REASON = re.compile(r"#\s*([a-z][a-z-]*):\s*(\S.*)")


def comments(source: str) -> dict[int, str]:
    """Line number to comment text."""
    found = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            found[token.start[0]] = token.string
    return found


def is_reason(text: str) -> bool:
    """Whether a text can be a reason: two words at least."""
    return len(re.findall(r"\w{2,}", text)) >= 2


def escape_findings(notes: Mapping[int, str]) -> Iterator[Finding]:
    """Escapes from the checkers that do not say why."""
    for line, note in notes.items():
        found = ESCAPE.search(note)
        if found and not is_reason(found["why"]):
            yield Finding(line, "reason", f"an escape from a rule says why: `# {found['kind']}  # because …`")


def excused(finding: Finding, notes: Mapping[int, str], *, statements: Mapping[int, tuple[int, int]]) -> bool:
    """Whether a comment `# rule: why` stands by the finding."""
    first, last = statements.get(finding.line, (finding.line, finding.line))
    for line in {first - 1, first, finding.line - 1, finding.line, last}:
        for rule, why in REASON.findall(notes.get(line, "")):
            if rule == finding.rule and is_reason(why):
                return True
    return False


def statement_lines(tree: ast.Module) -> dict[int, tuple[int, int]]:
    """Line to the first and last line of the simple statement (or the head of the compound one) that covers it."""
    found: dict[int, tuple[int, int]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None) or getattr(node, "cases", None)
            end = node.end_lineno or node.lineno
            if body:
                start = body[0].lineno if isinstance(body[0], ast.stmt) else body[0].pattern.lineno
                end = max(node.lineno, start - 1)
            for line in range(node.lineno, end + 1):
                found[line] = (node.lineno, end)
    return found


def text_findings(path: str, source: str) -> Iterator[Finding]:
    """Breaches that need no syntax: length, unfinished work, paths of a machine, addresses of a registry."""
    code = path.endswith(CODE) or (path.startswith("scripts/") and "." not in Path(path).name)
    lines = source.splitlines()
    if code and len(lines) > LONGEST_FILE:
        yield Finding(LONGEST_FILE + 1, "length", f"{len(lines)} lines; {LONGEST_FILE} is the limit")
    for number, line in enumerate(lines, 1):
        if code and UNFINISHED.search(line):
            yield Finding(number, "unfinished", "finish it or file it")
        if MACHINE_PATH.search(line):
            yield Finding(number, "machine-path", "a path of one machine")
        if REGISTRY.search(line):
            yield Finding(number, "registry", "the product names no package registry")


def findings(path: str, source: str) -> list[Finding]:
    """All breaches in one file; `path` is relative to the repository, with slashes."""
    found: list[Finding] = []
    # The rules and their tests speak of what they forbid.
    if not path.startswith(("scripts/lint_house", "scripts/house_rules", "tests/house/")):
        found += text_findings(path, source)
    elif len(source.splitlines()) > LONGEST_FILE:
        found.append(Finding(LONGEST_FILE + 1, "length", f"{LONGEST_FILE} lines is the limit"))
    if path.endswith(".py"):
        try:
            module = Module(path, source, ast.parse(source))
        except SyntaxError as problem:
            return [*found, Finding(problem.lineno or 1, "syntax", "this is not Python")]
        notes = comments(source)
        statements = statement_lines(module.tree)
        rules = (*EVERYWHERE, *IN_THE_PACKAGE) if path.startswith("fhirmedia/") else EVERYWHERE
        raised = {finding for rule in rules for finding in rule(module)}
        found += [finding for finding in raised if not excused(finding, notes, statements=statements)]
        found += escape_findings(notes)
    return sorted(found)


def sources(root: Path) -> list[str]:
    """Paths of our own text files, tracked or about to be."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    paths = subprocess.run(listing, cwd=root, check=True, capture_output=True, text=True).stdout.split("\0")
    return sorted(
        {
            path
            for path in paths
            if path
            and not path.startswith(NOT_OURS)
            and (path.endswith((*CODE, *PROSE)) or "." not in Path(path).name)
            and (root / path).is_file()
        }
    )


def main() -> int:
    """Print `path:line: rule: sentence` for every breach; 1 if there are any."""
    root = Path(__file__).resolve().parent.parent
    count = 0
    for path in sources(root):
        for finding in findings(path, (root / path).read_text(encoding="utf-8")):
            print(f"{path}:{finding.line}: {finding.rule}: {finding.text}")
            count += 1
    return bool(count)


if __name__ == "__main__":
    sys.exit(main())
