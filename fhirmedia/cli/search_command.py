"""`fhirmedia search explain`: how a search is understood and found, on the server's machine."""

import argparse
import asyncio

from fhirmedia.access.caller import Caller
from fhirmedia.app.addresses import known_base_url
from fhirmedia.app.house import open_house
from fhirmedia.cli.opening import add_served_port, existing_folder
from fhirmedia.cli.options import add_data
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.ids import new_id
from fhirmedia.custody.telling import RequestNote
from fhirmedia.interactions.archive import Asker
from fhirmedia.interactions.explain_search import Explained, explain
from fhirmedia.interactions.search import Where
from fhirmedia.r4.query_string import decode_query

EXAMPLES = """\
It runs beside a server and shows the search as somebody who may see everything would be answered:
  fhirmedia search explain 'Media?patient=p17&when=ge2024&_sort=-when'
  fhirmedia search explain 'Patient/p17/*?_type=Media,DocumentReference'
Every use is in the audit log.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("what", choices=("explain",), help="explain: tell how a search is answered")
    parser.add_argument("search", metavar="URL", help="a search as below the FHIR base, with its parameters")
    add_data(parser)
    add_served_port(parser)


def run(arguments: argparse.Namespace) -> int:
    """Explain and print."""
    folder, settings = existing_folder(arguments.data)
    where, parameters = _asked(arguments.search)

    async def told() -> Explained:
        base_url = known_base_url(settings, folder, port=arguments.port)
        house = open_house(folder, settings, base_url=base_url, beside=True)
        # unscoped: whoever can read the folder can read everything in it
        asker = Asker(Caller.system("fhirmedia search explain"), RequestNote(f"search-{new_id()}"))
        try:
            return await explain(house.archive, asker, where, parameters, lenient=False)
        finally:
            await house.close()

    found = asyncio.run(told())
    print(f"types       {', '.join(found.types)}")
    print(f"understood  {found.understood}")
    print(f"narrowed    {found.narrowed}")
    print(f"engine      {found.engine}" + (f" ({found.why})" if found.why else ""))
    if found.plan is not None:
        print(f"\n{found.plan}")
    return 0


def _asked(url: str) -> tuple[Where, list[tuple[str, str]]]:
    path, _, query = url.rpartition("/fhir/")[2].partition("?")
    parameters = decode_query(query)
    match path.strip("/").split("/"):
        case [""]:
            return Where(), parameters
        case [kind]:
            return Where(kind), parameters
        case [compartment, identity, kind]:
            return Where(None if kind == "*" else kind, (compartment, identity)), parameters
        case _:
            raise Failure(Category.INVALID, "A search goes to a type, to a compartment and a type, or to the base.")
