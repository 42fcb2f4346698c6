"""The shim, compiled once per version of its source, and the environment that puts it under a process."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")
CACHE = Path(__file__).parents[2] / ".cache" / "shim"


def shim() -> Path:
    """The compiled shim, by the machine's C compiler or the one of the test requirements."""
    built = CACHE / f"shim-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]}.so"
    if not built.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        compiler = ["gcc"] if shutil.which("gcc") else [sys.executable, "-m", "ziglang", "cc"]
        draft = built.with_suffix(f".{os.getpid()}")
        command = [*compiler, "-shared", "-fPIC", "-O2", "-o", str(draft), str(SOURCE), "-ldl", "-pthread"]
        subprocess.run(command, check=True, capture_output=True)
        draft.rename(built)
    return built


def shimmed(
    root: Path, *, trace: Path | None = None, control: Path | None = None, forget: bool = False
) -> dict[str, str]:
    """An environment in which what happens under `root` (a real path) goes through the shim."""
    found = {**os.environ, "LD_PRELOAD": str(shim()), "DISKSHIM_ROOT": str(root)}
    if trace is not None:
        found["DISKSHIM_TRACE"] = str(trace)
    if control is not None:
        found["DISKSHIM_CONTROL"] = str(control)
    if forget:
        found["DISKSHIM_FORGET"] = "1"
    return found
