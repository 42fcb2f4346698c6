"""The address clients use: told by the settings, kept in the folder, the same for all who work on it."""

from collections.abc import Callable

from fhirmedia.backends.folder import Folder, note_base_url, served_base_url
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.settings import Settings
from fhirmedia.issuer.minting import is_demo


def base_url_of(settings: Settings, folder: Folder, *, port: int) -> str:
    """The FHIR base. Raises Failure INVALID where no public address, or one without TLS, is set and this is no demo."""
    if settings.public_url is not None and (is_demo(folder.path) or settings.public_url.startswith("https:")):
        return settings.public_url + "/fhir"
    if is_demo(folder.path):
        return f"http://127.0.0.1:{port}/fhir"
    raise Failure(Category.INVALID, "FHIRMEDIA_PUBLIC_URL must say which address clients use, as https://….")


def known_base_url(settings: Settings, folder: Folder, *, port: int) -> str:
    """The FHIR base a folder was served at, for whoever works beside the server; `base_url_of` if it never was served.

    Raises Failure INVALID as that does, and CONFLICT where FHIRMEDIA_PUBLIC_URL names another address.
    """
    known = served_base_url(folder)
    if known is None or settings.public_url is not None:
        stated = base_url_of(settings, folder, port=port)
        if known not in (None, stated):
            raise _moved(folder, known, stated)
        return stated
    return known


def settled_base_url(settings: Settings, folder: Folder, *, port: int, moved: Callable[[str], None]) -> str:
    """The FHIR base a folder is about to be served at, which is kept in it.

    A demo may move to another port: `moved` is told where it was. Raises as `known_base_url`.
    """
    known, stated = served_base_url(folder), base_url_of(settings, folder, port=port)
    if known != stated:
        if known is not None and settings.public_url is not None:
            raise _moved(folder, known, stated)
        note_base_url(folder, stated)
        if known is not None:
            moved(known)
    return stated


def _moved(folder: Folder, known: str | None, stated: str) -> Failure:
    return Failure(
        Category.CONFLICT,
        f"The folder was served as {known}, FHIRMEDIA_PUBLIC_URL makes it {stated}. What is in it may name the old "
        f"address. Set it back; or, with the server stopped, run `fhirmedia reindex --data {folder.path}` and then "
        "`fhirmedia check --repair` to take the new one.",
    )
