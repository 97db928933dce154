"""GET requests to public addresses only: no redirect and no DNS answer leads inside (T4)."""

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote, urljoin

import httpcore2

from storage.downloads.sources import Rules, check_address, host_and_port

Resolve = Callable[[str, int], list[str]]

CONNECT_SECONDS, READ_SECONDS = 10.0, 15.0
MAX_REDIRECTS = 5
_TROUBLE = (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError)
_URL_SIGNS = "%/:?#[]@!$&'()*+,;=~"
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SECRETS = re.compile(
    r"hf_[A-Za-z0-9]{4,}|(?<=Bearer )\S+|AKIA[0-9A-Z]{8,}|(?<=://)[^/\s@]+(?=@)|(?<=\?)[^\s'\"]+"
)


def scrub(text: str) -> str:
    """A text without tokens, passwords and signed queries, fit for an error message."""
    return _SECRETS.sub("…", text)


def is_public(address: str) -> bool:
    """Whether an IP address, or the IPv4 address inside it, belongs to the open internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        teredo = ip.teredo[1] if ip.teredo else None
        nat64 = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None
        inner = ip.ipv4_mapped or ip.sixtofour or teredo or nat64
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not (ip.is_multicast or ip.is_reserved)


class _PublicNetwork(httpcore2.NetworkBackend):
    """Connects to the address it has checked, so that a second DNS answer changes nothing."""

    def __init__(self, rules: Rules, resolve: Resolve) -> None:
        self._rules, self._resolve = rules, resolve
        self._network = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        # Which port a bare host may be asked at, `check_address` has decided.
        if not {host, f"{host}:{port}"} & self._rules.hosts:
            try:
                addresses = self._resolve(host, port)
            except OSError as error:
                raise httpcore2.ConnectError(f"{host} has no address") from error
            if not all(is_public(address) for address in addresses):
                raise ValueError(f"{host} leads to a private address, which no download may reach")
            host = addresses[0]
        return self._network.connect_tcp(host, port, timeout, local_address, socket_options)


def resolved(host: str, port: int) -> list[str]:
    """The IP addresses of a host, by the machine's own resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


@dataclass(frozen=True)
class Reply:
    """An answer whose body has not been read yet; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: Iterator[bytes]

    def number(self, name: str) -> int | None:
        """A header that is a whole number, or None."""
        text = self.headers.get(name, "")
        return int(text) if text.isdecimal() else None


@dataclass(frozen=True)
class Page:
    """A small answer, read whole; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Web:
    """A pool of connections to public hosts, and to those the rules name.

    Trouble that may pass (no answer, a cut connection) raises a `ConnectionError`.

    Args:
        resolve: the IP addresses of a host; at least one, or an `OSError`.
    """

    def __init__(self, rules: Rules, *, resolve: Resolve = resolved) -> None:
        self._rules = rules
        self._pool = httpcore2.ConnectionPool(network_backend=_PublicNetwork(rules, resolve))

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.close()

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Iterator[Reply]:
        """The answer to a GET, after redirects, each of which is checked again.

        Args:
            headers: an `authorization` among them is sent to the first host alone.

        Raises:
            ValueError: an address that no download may reach, or too many redirects.
            ConnectionError: trouble that may pass.
        """
        first, asked = host_and_port(url), {"accept-encoding": "identity", **(headers or {})}
        for _ in range(MAX_REDIRECTS + 1):
            check_address(url, self._rules)
            if host_and_port(url) != first:
                asked.pop("authorization", None)
            with self._answer(url, asked) as reply:
                if reply.status not in (301, 302, 303, 307, 308) or "location" not in reply.headers:
                    yield reply
                    return
                url = quote(urljoin(url, reply.headers["location"]), safe=_URL_SIGNS)
        raise ValueError(f"{first} redirects more than {MAX_REDIRECTS} times")

    def read(self, url: str, *, at_most: int, headers: Mapping[str, str] | None = None) -> Page:
        """A small answer as a whole.

        Raises:
            ValueError: as `get`, or the body is larger than `at_most` bytes.
            ConnectionError: as `get`.
        """
        with self.get(url, headers) as reply:
            body = b""
            for block in reply.body:
                body += block
                if len(body) > at_most:
                    raise ValueError(f"{host_and_port(url)} sent more than {at_most} bytes")
            return Page(reply.status, reply.headers, body)

    @contextmanager
    def _answer(self, url: str, headers: Mapping[str, str]) -> Iterator[Reply]:
        timeouts = {"connect": CONNECT_SECONDS, "read": READ_SECONDS, "write": READ_SECONDS}
        try:
            with self._pool.stream(
                "GET",
                url.partition("#")[0],
                headers=[(name.encode(), value.encode()) for name, value in headers.items()],
                extensions={"timeout": {**timeouts, "pool": CONNECT_SECONDS}},
            ) as response:
                found = {
                    name.decode("latin-1").lower(): value.decode("latin-1")
                    for name, value in response.headers
                }
                yield Reply(response.status, found, response.iter_stream())
        except _TROUBLE as error:
            reason = scrub(str(error)) or type(error).__name__
            raise ConnectionError(f"{host_and_port(url)} did not answer: {reason}") from error
