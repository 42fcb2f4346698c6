"""How the engine is reached: one client for all nodes, every error as a Failure, and who it is that answers.

The library's own name for the product is checked by the library with every answer; what it raises otherwise, and what
answers mean, is said here once.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from io import BytesIO
from typing import Any, TypeVar
from urllib.parse import urlencode

import aiohttp
from elastic_transport import AiohttpHttpNode
from elasticsearch import (
    ApiError,
    AsyncElasticsearch,
    AuthenticationException,
    AuthorizationException,
    ConnectionTimeout,
    TransportError,
    UnsupportedProductError,
)

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.index_address import IndexAddress

Json = dict[str, Any]
T = TypeVar("T")

OLDEST, TOO_NEW = (8, 19), (9, 0)
"""Versions of the server that are supported, the second no more."""

PING_S = 2.0
CONNECTIONS = 64
"""To one node: bulk requests that wait to be visible keep no search waiting."""

_PIECE_BYTES = 2**16
"""What is longer is sent in pieces, with a turn for others after each."""

_COSTLY = frozenset({
    "search_timeout_exception", "too_many_clauses", "too_many_nested_clauses", "too_many_buckets_exception",
    "timeout_exception", "task_cancelled_exception",
})  # fmt: skip
"""What the engine says of a search that asks too much."""

_JSON = "application/vnd.elasticsearch+json; compatible-with=8"
_LINES = "application/vnd.elasticsearch+x-ndjson; compatible-with=8"


async def _refuse_redirect(*_: object) -> None:
    raise aiohttp.ClientError


class _Node(AiohttpHttpNode):
    """A node asked directly, whatever proxy the environment names or address an answer redirects to.

    What we ask is about patients.
    """

    async def perform_request(self, method: str, target: str, body: Any = None, *more: Any, **named: Any) -> Any:  # type: ignore[override]  # the library's own declares itself so
        """As of the library, but that a large body goes in pieces, and others are answered meanwhile."""
        sent: Any = BytesIO(body) if body is not None and len(body) > _PIECE_BYTES else body
        return await super().perform_request(method, target, sent, *more, **named)

    def _log_request(self, *_: Any, **__: Any) -> None:
        """Nothing: bodies are about patients."""

    def _create_aiohttp_session(self) -> None:
        """The library's, but for redirects, which it would follow."""
        self._loop = asyncio.get_running_loop()
        straight = aiohttp.TraceConfig()
        straight.on_request_redirect.append(_refuse_redirect)
        self.session = aiohttp.ClientSession(
            headers=self.headers,
            skip_auto_headers=("accept", "accept-encoding", "user-agent"),
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(limit_per_host=self._connections_per_node, ssl=self._ssl_context or False),
            trace_configs=[straight],
            trust_env=False,
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status and the parsed body."""

    status: int
    body: Any


class ElasticClient:
    """Requests to one cluster."""

    def __init__(self, address: IndexAddress) -> None:
        """Connects to nothing yet. Raises Failure INVALID for a file that cannot be read."""
        secure = address.nodes[0].startswith("https:")
        more: dict[str, Any] = {}
        if secure:
            more["ssl_context"] = _trust(address)
        if address.api_key_file is not None:
            more["api_key"] = _read(address.api_key_file.read_text, "api_key_file").strip()
        self._client = AsyncElasticsearch(
            list(address.nodes),
            node_class=_Node,
            connections_per_node=CONNECTIONS,
            max_retries=len(address.nodes) - 1,
            request_timeout=30,
            **more,
        )
        self._within = lru_cache(maxsize=64)(self._client_within)

    async def ask(
        self,
        method: str,
        path: str,
        body: Json | bytes | None = None,
        *,
        within_s: float,
        accepted: frozenset[int] = frozenset(),
        **parameters: str,
    ) -> Answer:
        """Send one request; bytes are lines of JSON. Errors with an accepted status come back as answers.

        `within_s` is for all of it, other nodes that are tried included; the library's own bound is for each try.

        Raises Failure UNAVAILABLE, also for what the engine does not understand: its index is not as we made it. Raises
        TOO_COSTLY where it says so.
        """
        headers = {"accept": _JSON}
        if body is not None:
            headers["content-type"] = _LINES if isinstance(body, bytes) else _JSON
        target = path if not parameters else f"{path}?{urlencode(parameters)}"
        try:
            asked = self._within(within_s)
            async with asyncio.timeout(within_s):
                answer = await asked.perform_request(method, target, headers=headers, body=body)
        except TimeoutError:
            raise _late() from None
        except ApiError as error:
            if error.meta.status in accepted:
                return Answer(error.meta.status, error.body)
            raise failure_of(error) from None
        except TransportError as error:
            raise failure_of(error) from None
        except UnsupportedProductError:
            raise unavailable("Something else than a search engine answers in its place.") from None
        return Answer(answer.meta.status, answer.body)

    async def version(self) -> tuple[int, ...]:
        """The version of the server that answers.

        Raises Failure INVALID with a sentence where it is no Elasticsearch, or wants another key; UNAVAILABLE.
        """
        try:
            asked = self._within(PING_S)
            path = "/_nodes/_local?filter_path=nodes.*.version"
            async with asyncio.timeout(PING_S):
                answer = await asked.perform_request("GET", path, headers={"accept": _JSON})
            nodes: Mapping[str, Mapping[str, str]] = answer.body["nodes"]
            said = next(iter(nodes.values()))["version"]
            return tuple(int(part) for part in said.partition("-")[0].split("."))
        except AuthenticationException:
            raise _cannot(
                "refuses our key: give a valid one, as id:key in base 64, in the file that api_key_file names."
            ) from None
        except AuthorizationException:
            raise _cannot("does not let our key look at it: the key needs the cluster privilege monitor.") from None
        except (UnsupportedProductError, KeyError, StopIteration, ValueError, TypeError):
            raise _unsupported() from None
        except TimeoutError:
            raise _late() from None
        except ApiError as error:
            raise (
                _unsupported()
                if error.meta.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.NOT_ACCEPTABLE)
                else failure_of(error)
            ) from None
        except TransportError as error:
            raise failure_of(error) from None

    async def close(self) -> None:
        """Let go of all connections."""
        await self._client.close()

    def _client_within(self, seconds: float) -> AsyncElasticsearch:
        """Over the same connections; to make one takes the library longer than most requests do."""
        return self._client.options(request_timeout=seconds)


def require_supported(version: tuple[int, ...]) -> None:
    """Raises Failure INVALID for a version that was never tried."""
    if not OLDEST <= version[:2] < TOO_NEW:
        named = ".".join(map(str, version))
        raise _cannot(f"is Elasticsearch {named}: install 8.19 or a later 8, or take out FHIRMEDIA_INDEX.")


def unavailable(text: str) -> Failure:
    """What may pass."""
    return Failure(Category.UNAVAILABLE, text, retry_after_s=5)


def failure_of(error: ApiError | TransportError) -> Failure:
    """An error of the library as a Failure; nothing of what was asked or answered is in it."""
    if isinstance(error, ConnectionTimeout):
        return _late()
    if isinstance(error, TransportError):
        return unavailable("The search engine cannot be reached.")
    status, kind = error.meta.status, reason_of(error.body)
    if not _COSTLY.isdisjoint(_kinds(error.body)):
        return Failure(Category.TOO_COSTLY, "The search takes too long; narrow it.")
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return unavailable("The search engine refuses us; its key or its rights have changed.")
    if status == HTTPStatus.NOT_FOUND:
        return unavailable("The search engine has lost its index.")
    if (
        status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
        or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    ):
        return unavailable("The search engine takes nothing at present.")
    return unavailable(f"The search engine did not understand what it was asked ({kind}).")


@contextmanager
def understood() -> Iterator[None]:
    """Reading an answer: one that is not as the engine's are raises Failure UNAVAILABLE."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        raise unavailable("The search engine answers what cannot be read.") from None


def reason_of(body: Any) -> str:
    """The name of an error, which the engine made up, never a value."""
    error = body.get("error") if isinstance(body, dict) else None
    return str(error.get("type", "unknown")) if isinstance(error, dict) else "unknown"


def _kinds(node: Any) -> Iterator[str]:
    """The names of an error and of all that caused it."""
    if isinstance(node, dict):
        for name, each in node.items():
            if name == "type" and isinstance(each, str):
                yield each
            else:
                yield from _kinds(each)
    elif isinstance(node, list):
        for each in node:
            yield from _kinds(each)


def _late() -> Failure:
    return unavailable("The search engine does not answer in time.")


def _cannot(text: str) -> Failure:
    return Failure(Category.INVALID, f"The server that FHIRMEDIA_INDEX names {text}")


def _unsupported() -> Failure:
    return _cannot(
        "is not Elasticsearch (OpenSearch is another product): give the address of an Elasticsearch 8.19, or take out "
        "FHIRMEDIA_INDEX."
    )


def _trust(address: IndexAddress) -> ssl.SSLContext:
    if address.ca_file is None:
        return ssl.create_default_context()
    path = address.ca_file
    return _read(lambda: ssl.create_default_context(cafile=str(path)), "ca_file")


def _read(read: Callable[[], T], name: str) -> T:
    try:
        return read()
    except (OSError, ssl.SSLError):
        raise Failure(Category.INVALID, f"The file that {name} names in FHIRMEDIA_INDEX cannot be read.") from None
