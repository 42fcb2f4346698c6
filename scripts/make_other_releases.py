"""Write `profiles/r4/other-releases.json`: names of types and elements that R4 lacks and another release has.

python scripts/make_other_releases.py           writes the table
python scripts/make_other_releases.py --check   fails when the committed table differs from what would be written

The names come from the models of fhir.resources, which ships STU3, R4B and (on its top level) R5.
"""

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fhirmedia.r4.elements import ElementTable, table, type_names

TARGET = Path(__file__).resolve().parent.parent / "profiles" / "r4" / "other-releases.json"

RELEASES = {"STU3": "fhir.resources.STU3", "R4B": "fhir.resources.R4B", "R5": "fhir.resources"}

Model = Any


def made_text() -> str:
    """The whole table: types by release, and per table of R4 the element names by release."""
    elements: dict[str, dict[str, list[str]]] = {}
    for release, package in RELEASES.items():
        for kind in ("resource", "complex"):
            for name in type_names()[kind]:
                for path, missing in _missing(table(name), _model(package, name), package):
                    elements.setdefault(path, {})[release] = missing
    types = {release: _types(package) for release, package in RELEASES.items()}
    rows = ",\n".join(f"{json.dumps(path)}:{_compact(elements[path])}" for path in sorted(elements))
    return f'{{"types":{_compact(types)},\n"elements":{{\n{rows}\n}}}}\n'


def _missing(owner: ElementTable, model: Model, package: str) -> Iterator[tuple[str, list[str]]]:
    """The names a model has and the table has not, for the table and the backbones below it."""
    if model is None:
        return
    names = [name for name in model.elements_sequence() if name not in owner.elements]
    if names:
        yield owner.type, sorted(names)
    for element in owner.elements.values():
        if element.children is not None and element.content_reference is None:
            yield from _missing(element.children, _inner(model, element.name, package), package)


def _inner(model: Model, name: str, package: str) -> Model:
    for field_name, field in model.model_fields.items():
        if name == (field.alias or field_name):
            return next((_model(package, one) for one in _type_names(field.annotation)), None)
    return None


def _type_names(annotation: Any) -> Iterator[str]:
    stated = getattr(annotation, "_model_klass", None)
    if isinstance(stated, str):
        yield stated.rpartition(".")[2]
    for part in get_args(annotation):
        yield from _type_names(part)


def _model(package: str, name: str) -> Model:
    try:
        return import_module(package).get_fhir_model_class(name)
    except (ValueError, LookupError, ImportError):
        return None


def _types(package: str) -> list[str]:
    """Resource types of a release that R4 does not have."""
    registered = import_module(f"{package}.fhirtypes")
    named = {name for one in vars(registered).values() for name in _type_names(one)}
    known = {name for kind in type_names().values() for name in kind}
    models = ((name, _model(package, name)) for name in named - known)
    return sorted(name for name, model in models if model is not None and _is_resource(model))


def _is_resource(model: Model) -> bool:
    """Whether a model is a resource that can be sent: the abstract ones are not."""
    bases = [base.__name__ for base in model.__mro__]
    return "Resource" in bases[1:] and bases[0] not in ("DomainResource", "CanonicalResource", "MetadataResource")


def _compact(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"))


def main() -> int:
    text = made_text()
    if "--check" in sys.argv:
        same = TARGET.exists() and TARGET.read_text("utf-8") == text
        print("the table is as the models say" if same else f"differs: {TARGET.name}")
        return not same
    TARGET.write_text(text, "utf-8")
    print(f"{text.count(chr(10))} rows, {len(text) // 1024} kB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
