"""`fhirmedia reindex --parameter`: one more search parameter, filled in beside a running server."""

import argparse
from pathlib import Path
from zoneinfo import ZoneInfo

from fhirmedia.app.addresses import known_base_url
from fhirmedia.backends.added_sql import added_in
from fhirmedia.backends.filling import Filling
from fhirmedia.backends.folder import Folder
from fhirmedia.cli.opening import existing_folder
from fhirmedia.cli.progress import Progress
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Record
from fhirmedia.r4.added import AddedParameter, load_added, read_added, with_added
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.registry import Registry, load_registry
from fhirmedia.r4.values import IndexEntries


def fill(arguments: argparse.Namespace) -> int:
    """Index every resource by the parameter, and have it searched by."""
    folder, settings = existing_folder(arguments.data)
    own = load_registry()
    with folder.hold(alone=False), folder.hold_filling():
        before = load_added(added_in(folder.records), own)
        parameter = _parameter(arguments.parameter, before, folder, own)
        said = f"{parameter.code} of {', '.join(sorted(parameter.parameters))}"
        if any(each.resource == parameter.resource and each.ready for each in before):
            print(f"{said} can be searched by already.")
            return 0
        base_url = known_base_url(settings, folder, port=arguments.port)
        others = [each for each in before if each.code != parameter.code]
        registry = with_added(own, [*others, parameter])
        extractor = Extractor(registry, base_url=base_url, zone=ZoneInfo(settings.timezone), language=settings.language)

        def entries_of(record: Record) -> IndexEntries:
            return extractor.entries(parse_json(record.body or b"{}"), key=record.key, last_updated_ms=0)

        with Filling(folder, parameter, own=own) as filling:
            try:
                with Progress(f"indexing by {parameter.code}", filling.begin()) as progress:
                    filling.run(entries_of, done=progress.advance)
            except KeyboardInterrupt:
                print(f"Stopped; the same command goes on from here. Nobody can search by {said} yet.")
                raise
            filling.finish()
    print(f"{said} can be searched by; a running server knows within a second.")
    return 0


def _parameter(asked: str, added: tuple[AddedParameter, ...], folder: Folder, own: Registry) -> AddedParameter:
    """The definition in a file, or the one of the folder that has this code."""
    if Path(asked).is_file():
        return read_added(Path(asked).read_bytes(), own)
    found = next((each for each in added if each.code == asked), None)
    if found is None:
        raise Failure(
            Category.NOT_FOUND,
            f"{asked} is neither a file with a SearchParameter nor the code of one that was added to {folder.path}.",
        )
    return found
