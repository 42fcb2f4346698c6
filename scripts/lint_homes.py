"""One library, one home: which modules of the package may import which third-party library."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HOMES: dict[str, tuple[str, ...]] = {
    "aiohttp": ("backends.elastic.client",),
    "alembic": ("backends",),
    "anyio": ("web",),
    "av": ("demo",),
    "cryptography": ("issuer", "custody.cursors"),
    "elastic_transport": ("backends.elastic.client",),
    "elasticsearch": ("backends.elastic.client",),
    "fastapi": ("web", "app"),
    "fhir": ("r4.model",),
    "fhir_core": ("r4.model",),
    "jose": ("issuer.jose",),
    "msgspec": ("r4.codec", "r4.values"),
    "numpy": ("demo",),
    "obstore": ("backends.objects_s3",),
    "PIL": ("media.pictures", "demo"),
    "prometheus_client": ("web.metrics",),
    "psycopg": ("backends",),
    "pydantic": ("r4.model",),
    "pydantic_core": ("r4.model",),
    "pydicom": ("dicom", "demo.dicom_files"),
    "pypdf": ("media.pdf_text",),
    "reportlab": ("demo",),
    "sqlalchemy": ("backends",),
    "sqlmodel": ("backends",),
    "starlette": ("web", "app"),
    "striprtf": ("media.plain_text",),
    "uvicorn": ("app", "cli"),
    # Of the standard library, what would open a second way to data or out of the house:
    "http.client": ("issuer.jwks",),
    "sqlite3": ("backends",),
    "urllib.request": (),
    "xml.dom": (),
    "xml.sax": (),
}
"""Library to the modules under `fhirmedia` that may import it; an empty row means nobody."""


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything imported, inside functions and by `import_module("…")` too."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=str(module), level=0, names=names):
                yield from ((node.lineno, f"{module}.{alias.name}") for alias in names)
            case ast.Call(
                func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__"),
                args=[first, *_],
            ):
                yield from ((node.lineno, text) for text in _beginnings(first))


def _beginnings(name: ast.expr) -> Iterator[str]:
    """What is known of a module name made at run time: all of a constant, the fixed start of an f-string, or `?`."""
    match name:
        case ast.Constant(value=str(text)) | ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
            yield text
        case ast.IfExp(body=one, orelse=other):
            yield from _beginnings(one)
            yield from _beginnings(other)
        case _:
            yield "?"


def within(name: str, prefix: str) -> bool:
    """Whether a dotted name is the prefix or lies under it."""
    return name == prefix or name.startswith(prefix + ".")


def findings(module: str, source: str, *, homes: dict[str, tuple[str, ...]] = HOMES) -> Iterator[tuple[int, str]]:
    """Line and sentence for each import that is not at home in `module` (dotted, without `fhirmedia.`)."""
    for line, name in imports(ast.parse(source)):
        top = name.partition(".")[0]
        row = next((library for library in homes if within(name, library)), None)
        if row is None:
            if top != "fhirmedia" and top not in sys.stdlib_module_names:
                yield line, f"{name} has no home; give it one row in scripts/lint_homes.py"
        elif not any(within(module, home) for home in homes[row]):
            rooms = ", ".join(f"fhirmedia.{home}" for home in homes[row]) or "no module"
            yield line, f"{row} is at home in {rooms}"


def module_name(path: str) -> str:
    """`fhirmedia/web/errors.py` as `web.errors`, a package as its own name."""
    return path.removesuffix(".py").removesuffix("/__init__").removeprefix("fhirmedia").lstrip("/").replace("/", ".")


def main() -> int:
    """Print the findings; 1 if there are any."""
    root = Path(__file__).resolve().parent.parent
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "fhirmedia/*.py"]
    paths = sorted(set(subprocess.run(listing, cwd=root, check=True, capture_output=True, text=True).stdout.split()))
    found = [
        f"{path}:{line}: {sentence}"
        for path in paths
        if (root / path).exists()
        for line, sentence in findings(module_name(path), (root / path).read_text())
    ]
    print(*found, sep="\n", end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
