"""The image without a container engine: the Dockerfile's user, environment and commands on a read-only tree.

Where the machine allows a mount namespace, the tree is a root of its own, mounted read-only, and the commands run in it
with nothing but the packages of requirements.lock. Where it does not, they run on a copy without write permission.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from scripts.lint_locks import pins

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = Path(metadata.distribution("starlette").locate_file(""))
HOME = "/opt/fhirmedia"
ENTRY = "import sys\nfrom fhirmedia.cli.main import main\nsys.exit(main())\n"


def instructions(dockerfile: str) -> list[list[tuple[str, str]]]:
    """The stages of a Dockerfile, each a list of (instruction, rest) with continued lines joined."""
    stages: list[list[tuple[str, str]]] = []
    text = "\n".join(line for line in dockerfile.splitlines() if not line.lstrip().startswith("#"))
    for line in text.replace("\\\n", " ").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            stages.append([])
        if word:
            stages[-1].append((word, rest.strip()))
    return stages


def environment(stage: Sequence[tuple[str, str]]) -> dict[str, str]:
    """What ENV sets."""
    words = [word for name, rest in stage if name == "ENV" for word in shlex.split(rest)]
    return dict(word.split("=", 1) for word in words)


def can_mount() -> list[str] | None:
    """The command that opens a mount namespace here, or None."""
    ways = [["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"]]
    for way in ways[os.geteuid() != 0 :]:
        if shutil.which("unshare") and subprocess.run([*way, "true"], capture_output=True, check=False).returncode == 0:
            return way
    return None


@dataclass(frozen=True, slots=True)
class Tree:
    """Where an image's files lie, and how to run a command on them."""

    folder: Path
    data: Path
    issuers: Path
    user: str
    environment: Mapping[str, str]
    way: Sequence[str] | None
    """How a mount namespace is opened; None: there is none."""

    def start(self, command: Sequence[str], **settings: str) -> subprocess.Popen[str]:
        """Run a command as the image would, in its environment and `settings`; `/data` and its like are translated."""
        variables = {**self.environment, **settings}
        line = list(command)
        if self.way is None:
            known = {"/data": str(self.data), "/etc/fhirmedia/issuers.json": str(self.issuers / "issuers.json")}
            line = [known.get(word, word) for word in line]
            variables = {name: known.get(value, value) for name, value in variables.items()}
            variables["PATH"] = f"{self.folder}{HOME}/bin:/usr/bin:/bin"
            variables["PYTHONPATH"] = str(self.folder / "site-packages")
        else:
            line = ["bash", "-euc", self._mounts(), "mounts", *self._dropped(), "env", "--chdir=/data", *line]
            line = [*self.way, *line]
        return subprocess.Popen(
            line, env=variables, cwd=self.data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    @property
    def drops_user(self) -> bool:
        """Whether the image's own user runs the commands; otherwise the present, ordinary one does."""
        return self.way is not None and os.geteuid() == 0

    def _dropped(self) -> list[str]:
        if not self.drops_user:
            return []
        uid, gid = self.user.split(":")
        rights = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--clear-groups"]
        return ["setpriv", f"--reuid={uid}", f"--regid={gid}", *rights]

    def _mounts(self) -> str:
        new = shlex.quote(str(self.folder))
        bound = {"/usr": "/usr", "/proc": "/proc", "/dev": "/dev", str(LIBRARIES): f"{HOME}/libraries"}
        bound |= {name: name for name in ("/bin", "/sbin", "/lib", "/lib64") if (self.folder / name[1:]).is_dir()}
        if not Path(sys.base_prefix).is_relative_to("/usr"):
            bound[sys.base_prefix] = sys.base_prefix
        lines = [f"mount --bind {new} {new}"]
        for source, place in bound.items():
            lines.append(f"mount --rbind {shlex.quote(source)} {new}{shlex.quote(place)}")
        lines.append(f"mount --bind {shlex.quote(str(self.issuers))} {new}/etc/fhirmedia")
        lines.append(f"mount --bind {shlex.quote(str(self.data))} {new}/data")
        lines.append(f"mount -t tmpfs tmpfs {new}/tmp")
        lines.append(f"mount -o remount,bind,ro {new}")
        chroot = shutil.which("chroot", path="/usr/sbin:/sbin:/usr/bin:/bin")
        lines.append(f'exec {chroot} {new} "$@"')
        return "\n".join(lines)


def build(folder: Path, wheel: Path, *, issuers: Path, user: str, variables: Mapping[str, str], mounted: bool) -> Tree:
    """Lay out the image's files under `folder`: the wheel, the locked libraries, a virtual environment's skeleton."""
    tree = folder / "root"
    for name in ("usr", "proc", "dev", "tmp", "data", "etc/fhirmedia", f"{HOME[1:]}/bin", f"{HOME[1:]}/libraries"):
        (tree / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        here = Path("/", name)
        if here.is_symlink():
            (tree / name).symlink_to(here.readlink())
        elif here.is_dir():
            (tree / name).mkdir()
    (tree / sys.base_prefix.lstrip("/")).mkdir(parents=True, exist_ok=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = tree / f"{HOME[1:]}/lib/{version}/site-packages" if mounted else tree / "site-packages"
    packages.mkdir(parents=True)
    subprocess.run([sys.executable, "-m", "zipfile", "-e", wheel, packages], check=True)
    for entry in sorted(_locked_entries()):
        (packages / entry).symlink_to((f"{HOME}/libraries" if mounted else LIBRARIES) / Path(entry))
    python = Path(sys.base_prefix, "bin", version)
    (tree / HOME[1:] / "bin/python").symlink_to(python)
    (tree / HOME[1:] / "pyvenv.cfg").write_text(f"home = {python.parent}\n")
    command = tree / HOME[1:] / "bin/fhirmedia"
    command.write_text(f"#!{HOME}/bin/python\n{ENTRY}" if mounted else f"#!{python}\n{ENTRY}")
    command.chmod(0o755)
    data = folder / "data"
    data.mkdir(mode=0o700)
    made = Tree(tree, data, issuers, user, variables, can_mount() if mounted else None)
    if made.drops_user:
        uid, gid = map(int, user.split(":"))
        os.chown(data, uid, gid)
    subprocess.run(["chmod", "-R", "a-w,a+rX", tree], check=True)
    return made


def _locked_entries() -> set[str]:
    """Top-level names that the packages of requirements.lock have put among the libraries."""
    found = set()
    for name in pins((ROOT / "requirements.lock").read_text()):
        for file in metadata.distribution(name).files or ():
            if file.parts[0] != "..":
                found.add(file.parts[0])
    return found - {"__pycache__"}
