"""Commands run in this process as a shell would run them, and a small archive for them to look after."""

import io
import os
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from fhirmedia.cli.main import main
from tests.servers import Served


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The last line on standard error: what went wrong."""
        return self.err.strip().splitlines()[-1]


def command(*words: str | Path, **environment: str) -> Said:
    """Run one command; `environment` is set for it alone."""
    out, err = io.StringIO(), io.StringIO()
    umask = os.umask(0o077)
    try:
        with mock.patch.dict(os.environ, environment), redirect_stdout(out), redirect_stderr(err):
            try:
                code = main([str(word) for word in words])
            except SystemExit as ended:
                code = int(ended.code or 0)
    finally:
        os.umask(umask)
    return Said(code, out.getvalue(), err.getvalue())


def port_of(served: Served) -> str:
    """The port, as an option wants it."""
    return served.base.rsplit(":", 1)[1].partition("/")[0]


def a_media(identity: str, binary: str | None = None, **more: Any) -> dict[str, Any]:
    """A Media of patient `p`."""
    return {
        "resourceType": "Media",
        "id": identity,
        "status": "completed",
        "subject": {"reference": "Patient/p"},
        "createdDateTime": "2026-03-04",
        "content": {"url": f"Binary/{binary}"} if binary else {"title": "none"},
        **more,
    }


def furnish(served: Served, *, number: int = 10) -> None:
    """A patient with pictures, one of them deleted, one upload nobody wants, and somebody who has looked."""
    headers = served.importer()
    require(served.put({"resourceType": "Patient", "id": "p"}, headers))
    for each in range(number):
        store(served, f"picture-{each}", b"picture %d " % each * 50)
        require(served.put(a_media(f"m{each}", f"picture-{each}"), headers))
    store(served, "loose", b"nobody wants this")
    require(served.put(a_media("m0", "picture-0", note=[{"text": "seen"}]), headers))
    require(served.http.delete(f"{served.base}/Media/m1", headers=headers))
    require(served.http.get(f"{served.base}/Media/m0", headers=headers))
    require(served.http.get(f"{served.base}/Binary/picture-0", headers=headers))
    served.until_read()


def store(served: Served, binary_id: str, content: bytes) -> None:
    """Upload bytes as a Binary."""
    headers = {**served.importer(), "Content-Type": "text/plain"}
    require(served.http.put(f"{served.base}/Binary/{binary_id}", content=content, headers=headers))


def require(answer: Any) -> Any:
    """The answer, if it is a success."""
    assert answer.status_code < 300, answer.text
    return answer


def tree(folder: Path, read: Callable[[Path], Any] = Path.read_bytes) -> dict[str, Any]:
    """Every file below a folder, by its path."""
    return {str(path.relative_to(folder)): read(path) for path in sorted(folder.rglob("*")) if path.is_file()}
