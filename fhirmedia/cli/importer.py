"""Who imports: the one Caller of the program's own that writes resources."""

from dataclasses import replace

from fhirmedia.access.caller import Caller
from fhirmedia.access.policy import IMPORTER


def import_caller(*, check_references: bool) -> Caller:
    """The importer: any id, every type; references that decide access are checked unless told otherwise."""
    # unscoped: whoever may run the command on the server's machine owns the folder
    caller = Caller.system("fhirmedia import")
    roles: frozenset[str] = frozenset() if check_references else frozenset({IMPORTER})
    return replace(caller, id_prefixes=("*",), roles=roles)
