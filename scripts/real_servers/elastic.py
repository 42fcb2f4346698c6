"""One Elasticsearch node in a folder of its own, on loopback ports it keeps, as an ordinary user's process."""

import base64
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.real_servers import processes
from scripts.real_servers.maven import Artifact, fetched
from scripts.real_servers.places import Runner, UnavailableError, grounds, locked, runner

VERSION = "8.19.0"
ARTIFACT = Artifact(
    f"org.elasticsearch.distribution.integ-test-zip:elasticsearch:{VERSION}:zip",
    f"elasticsearch-{VERSION}.zip",
    "14833b2d86c30656901f92049f81fb5777a8e4545413c8656cd1a21b55173033",
)
USER, PASSWORD = "admin", "for-tests-only"
_PASSWORD_HASH = "$2a$10$WR5hNTO/QdG0.UVWW.0PDu6dNqgmmGhfTSJ5fCwtgiEiRYxcw0KS6"
START_S = 120.0
JAVA_MISSING = "Java 17 is missing, which Elasticsearch runs on: apt-get install openjdk-17-jre-headless."


def java_home() -> Path:
    """The folder of a Java of 17 or newer. Raises UnavailableError naming the package."""
    found = shutil.which("java")
    places = [Path(found).resolve().parent.parent] if found else []
    for home in [*sorted(Path("/usr/lib/jvm").glob("java-1[7-9]-openjdk*")), *places]:
        program = home / "bin" / "java"
        if not program.exists():
            continue
        said = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=60, check=False).stderr
        version = said.partition('version "')[2].partition(".")[0].partition('"')[0]
        if version.isdigit() and int(version) >= 17:
            return home
    raise UnavailableError(JAVA_MISSING)


def distribution() -> Path:
    """The unpacked program, the same for every node. Raises UnavailableError if it cannot be had."""
    target = grounds() / f"elasticsearch-{VERSION}"
    with locked(grounds() / "unpack.lock"):
        if not target.exists():
            archive = fetched(ARTIFACT)
            with tempfile.TemporaryDirectory(dir=target.parent) as folder:
                with zipfile.ZipFile(archive) as packed:
                    packed.extractall(folder)
                unpacked = Path(folder) / target.name
                for program in (unpacked / "bin").iterdir():
                    program.chmod(0o755)
                os.replace(unpacked, target)
    return target


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files of a server's certificate, its key, and who signed it."""

    certificate: Path
    key: Path
    authority: Path


@dataclass
class Node:
    """A node: `start` it, ask it at `url`, `stop` it, `kill` it, `pause` it; it keeps data and ports between starts.

    `secured` demands a user; `seeds` are the transport addresses of the nodes it forms one cluster with, itself
    included, and None makes it a cluster of one. `more` are further settings of Elasticsearch by name.
    """

    folder: Path
    name: str = "one"
    heap_mb: int = 512
    secured: bool = False
    certificate: Certificate | None = None
    seeds: Sequence["Node"] | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    transport_port: int = field(default_factory=free_port)
    runner: Runner = field(default_factory=runner)
    process: processes.Running | None = None

    @property
    def url(self) -> str:
        """Where it is asked."""
        return f"{'https' if self.certificate else 'http'}://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What it wrote about itself."""
        return self.folder / "logs" / "fhirmedia.log"

    def launch(self) -> None:
        """Start it without waiting. Raises UnavailableError if a program is missing."""
        home, java = distribution(), java_home()
        self._configure(home)
        pid_file = self.folder / "pid"
        pid_file.unlink(missing_ok=True)
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),
            "ES_JAVA_HOME": str(java),
            "ES_PATH_CONF": str(self.folder / "config"),
            "ES_JAVA_OPTS": f"-Xms{self.heap_mb}m -Xmx{self.heap_mb}m",
            "ES_TMPDIR": str(self.folder / "tmp"),
            "CLI_JAVA_OPTS": "-Xms16m -Xmx64m",
        }
        with (self.folder / "logs" / "output").open("wb") as output:
            started = subprocess.Popen(
                [home / "bin" / "elasticsearch", "-p", pid_file],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self.runner.uid,
                group=self.runner.gid,
                extra_groups=[] if self.runner.gid is not None else None,
            )
        self.process = processes.Running.of(started.pid)
        processes.forget(started)

    def start(self, *, within_s: float = START_S) -> "Node":
        """Start it and wait until it answers. Raises UnavailableError with its last words."""
        self.launch()
        return self.wait(within_s=within_s)

    def wait(self, *, within_s: float = START_S) -> "Node":
        """Wait until it answers and its cluster has a master. Raises UnavailableError with its last words."""
        until = time.monotonic() + within_s
        while not self.answers():
            if self.process is None or not self.process.alive():
                raise UnavailableError(f"Elasticsearch ended at its start: {self.last_words()}")
            if time.monotonic() > until:
                self.kill()
                raise UnavailableError(f"Elasticsearch was not ready within {within_s:.0f} s: {self.last_words()}")
            time.sleep(0.2)
        return self

    def answers(self) -> bool:
        """Whether it answers and a master is there."""
        try:
            status, _ = self.ask("GET", "/_cluster/health?timeout=1s&wait_for_nodes=>0")
        except (OSError, http.client.HTTPException):
            return False
        return status == http.client.OK

    def ask(self, method: str, path: str, body: Any = None, *, within_s: float = 10.0) -> tuple[int, Any]:
        """Status and parsed answer of one request, as the node's own administrator. Raises OSError."""
        link: http.client.HTTPConnection
        if self.certificate:
            context = ssl.create_default_context(cafile=str(self.certificate.authority))
            link = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=within_s, context=context)
        else:
            link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=within_s)
        headers = {"Content-Type": "application/json"}
        if self.secured:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        try:
            link.request(method, path, None if body is None else json.dumps(body), headers)
            answer = link.getresponse()
            text = answer.read()
        finally:
            link.close()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text.decode(errors="replace")

    def last_words(self) -> str:
        """The last error it logged, or the end of its output."""
        for path in (self.log, self.folder / "logs" / "output"):
            lines = path.read_text(errors="replace").splitlines() if path.exists() else []
            told = [line for line in lines if "ERROR" in line or "FATAL" in line or "Exception" in line] or lines[-1:]
            if told:
                return told[-1].strip()[:300]
        return "it wrote nothing."

    def server(self) -> processes.Running | None:
        """The process that answers, which a launcher started; None before it is there."""
        path = self.folder / "pid"
        text = path.read_text().strip() if path.exists() else ""
        return processes.Running.of(int(text)) if text.isdigit() else None

    def stop(self, *, within_s: float = 30.0) -> None:
        """End it and wait; it writes down what it holds."""
        self.resume()
        for one in (self.server(), self.process):
            if one is not None:
                one.end(within_s=within_s)
        self.process = None

    def kill(self) -> None:
        """End it at once, as a crash would."""
        for one in (self.server(), self.process):
            if one is not None:
                one.kill()
        self.process = None

    def pause(self) -> None:
        """Let it stand still: connections open, nothing answers."""
        server = self.server()
        if server is not None:
            server.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        server = self.server()
        if server is not None:
            server.send(signal.SIGCONT)

    def wipe(self) -> None:
        """Remove its data; it must not be running."""
        shutil.rmtree(self.folder / "data", ignore_errors=True)

    def _configure(self, home: Path) -> None:
        for name in ("config", "data", "logs", "tmp"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        config = self.folder / "config"
        for name in ("log4j2.properties", "roles.yml", "role_mapping.yml"):
            shutil.copyfile(home / "config" / name, config / name)
        (config / "users").write_text(f"{USER}:{_PASSWORD_HASH}\n")
        (config / "users_roles").write_text(f"superuser:{USER}\n")
        (config / "jvm.options").write_text(
            "-XX:+UseG1GC\n-Djava.io.tmpdir=${ES_TMPDIR}\n-XX:+ExitOnOutOfMemoryError\n"
        )
        # JSON is YAML, and dotted names are settings of their own.
        (config / "elasticsearch.yml").write_text(json.dumps(self._settings(config), indent=1))
        self.runner.own(self.folder)

    def _settings(self, config: Path) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "cluster.name": "fhirmedia",
            "node.name": self.name,
            "network.host": "127.0.0.1",
            "http.port": self.port,
            "transport.port": self.transport_port,
            "path.data": str(self.folder / "data"),
            "path.logs": str(self.folder / "logs"),
            "xpack.security.enabled": self.secured,
            # A developer's disk is often fuller than a server's may be.
            "cluster.routing.allocation.disk.threshold_enabled": False,
        }
        if self.seeds is None:
            settings["discovery.type"] = "single-node"
        else:
            settings["discovery.seed_hosts"] = [f"127.0.0.1:{node.transport_port}" for node in self.seeds]
            settings["cluster.initial_master_nodes"] = [node.name for node in self.seeds]
        if self.certificate:
            for name in ("certificate", "key"):
                shutil.copyfile(getattr(self.certificate, name), config / f"{name}.pem")
                settings[f"xpack.security.http.ssl.{name}"] = f"{name}.pem"
            settings["xpack.security.http.ssl.enabled"] = True
        return {**settings, **self.more}
