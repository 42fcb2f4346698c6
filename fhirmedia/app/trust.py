"""Whose tokens are accepted."""

from fhirmedia.access.policy import scope_parser
from fhirmedia.backends.folder import Folder
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.settings import Settings
from fhirmedia.issuer.minting import demo_row, is_demo
from fhirmedia.issuer.trusted import TrustedIssuers, load_issuers
from fhirmedia.r4.registry import Registry


def trusted_issuers(settings: Settings, folder: Folder, registry: Registry, *, base_url: str) -> TrustedIssuers:
    """Whose tokens are accepted. Raises Failure INVALID where there is nobody, with how to change that."""
    parse = scope_parser(registry)
    own = [demo_row(folder.path, audience=base_url)] if is_demo(folder.path) else []
    if settings.trusted_issuers is not None:
        return load_issuers(settings.trusted_issuers, audience=base_url, parse=parse, more=own)
    if own:
        return TrustedIssuers(own, parse=parse)
    raise Failure(
        Category.INVALID,
        "No token would be accepted: set FHIRMEDIA_TRUSTED_ISSUERS to a file of issuers (the README shows one), or try "
        "`fhirmedia demo`.",
    )
