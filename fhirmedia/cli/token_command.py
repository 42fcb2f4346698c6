"""`fhirmedia token`: a token for a demo folder; `token explain`: which check of a token fails."""

import argparse
import sys
from pathlib import Path

from fhirmedia.access.policy import ROLES
from fhirmedia.access.scopes import parse_scopes
from fhirmedia.cli.options import DEFAULT_PORT, add_data, life, port
from fhirmedia.core.clock import system_clock
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.settings import load_settings
from fhirmedia.issuer.minting import mint
from fhirmedia.r4.elements import resource_types

EXAMPLES = """examples:
  fhirmedia token --scope 'user/*.rs'                          staff of every unit, read and search
  fhirmedia token --scope 'patient/*.rs' --patient demo-p-001  bound to one patient
  fhirmedia token --scope 'user/*.cruds' --unit derm-north     one unit only
  fhirmedia token --scope 'user/AuditEvent.rs' --role auditor  who has looked
  fhirmedia token explain token.txt                            why is this token refused?
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_data(parser)
    parser.add_argument("explain", nargs="*", metavar="explain FILE|-", help="explain the token in FILE (or typed)")
    parser.add_argument("--scope", default="user/*.rs", help="SMART scopes, separated by blanks (default: %(default)s)")
    parser.add_argument("--patient", metavar="ID", help="the patient a patient/ scope is bound to")
    parser.add_argument("--user", metavar="REF", help="who it speaks for, as Practitioner/demo-pr-01")
    parser.add_argument("--unit", metavar="ID", action="append", default=[], help="an Organization; all units without")
    parser.add_argument("--role", metavar="NAME", action="append", default=[], help=", ".join(sorted(ROLES)))
    parser.add_argument("--expires", type=life, default=12 * 3600, metavar="12h", help="its life (default: 12h)")
    parser.add_argument(
        "--port",
        type=port,
        default=DEFAULT_PORT,
        metavar="N",
        help="port of a demo that was never served (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the token and nothing else, or the checks of one."""
    from fhirmedia.backends.folder import Folder, served_base_url

    public, folder = load_settings().public_url, Folder(arguments.data)
    served = served_base_url(folder) if folder.exists else None
    audience = served or f"http://127.0.0.1:{arguments.port}/fhir" if public is None else f"{public}/fhir"
    if arguments.explain:
        return _explain(arguments, audience=audience)
    _require_use(arguments.scope, patient=arguments.patient)
    token = mint(
        arguments.data,
        scope=arguments.scope,
        audience=audience,
        now_s=system_clock() // 1000,
        patient=arguments.patient,
        user=arguments.user,
        units=arguments.unit,
        roles=arguments.role,
        expires_s=arguments.expires,
    )
    print(token)
    return 0


def _require_use(scope: str, *, patient: str | None) -> None:
    """Raise Failure INVALID for scopes that grant nothing, and for a patient scope that is bound to nobody."""
    scopes = parse_scopes(scope, served_types=resource_types(), scopable=lambda _type, _name: True)
    if not scopes:
        raise Failure(Category.INVALID, "The scopes grant nothing; one that does is user/*.rs.")
    if patient is None and any(each.level == "patient" for each in scopes):
        raise Failure(Category.INVALID, "A patient/ scope is bound to a patient; name one with --patient.")


def _explain(arguments: argparse.Namespace, *, audience: str) -> int:
    from fhirmedia.app.trust import trusted_issuers
    from fhirmedia.backends.folder import Folder
    from fhirmedia.r4.registry import load_registry

    words = arguments.explain
    if words[0] != "explain" or len(words) != 2:
        print("usage: fhirmedia token explain FILE|-", file=sys.stderr)
        return 2
    try:
        token = (sys.stdin.read() if words[1] == "-" else Path(words[1]).read_text()).strip()
    except (OSError, UnicodeDecodeError):
        raise Failure(Category.INVALID, "The file with the token cannot be read as text.") from None
    issuers = trusted_issuers(load_settings(), Folder(arguments.data), load_registry(), base_url=audience)
    results = issuers.results(token, now_s=system_clock() // 1000)
    for result in results:
        print(f"{'ok  ' if result.ok else 'FAIL'} {result.name:<12} {result.sentence}")
    return 0 if all(result.ok for result in results) else 1
