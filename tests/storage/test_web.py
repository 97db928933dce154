"""Requests that never reach a private address, and errors that never tell a secret."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.downloads.sources import DEFAULT_RULES, Rules
from storage.downloads.web import Web, is_public, scrub
from tests.storage.source_server import Fault, SourceServer

PRIVATE_NETWORKS = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/4",
    "240.0.0.0/4",
]
INSIDE_IPV6 = ["::ffff:0:0", "2002::", "64:ff9b::"]


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_an_address_of_the_open_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address", ["::1", "::", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1"]
)
def test_an_inward_ipv6_address_is_not_public(address: str) -> None:
    assert not is_public(address)


@given(st.sampled_from(PRIVATE_NETWORKS), st.integers(0), st.sampled_from(INSIDE_IPV6))
def test_no_private_address_is_public_even_inside_an_ipv6_address(
    network: str, number: int, prefix: str
) -> None:
    addresses = ipaddress.ip_network(network)
    address = addresses[number % addresses.num_addresses]
    shift = 80 if prefix == "2002::" else 0
    inside = ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) + (int(address) << shift))
    assert not is_public(str(address))
    assert not is_public(str(inside))


@pytest.mark.parametrize(
    "answer", [["127.0.0.1"], ["169.254.169.254"], ["::ffff:10.0.0.1"], ["1.1.1.1", "192.168.0.1"]]
)
def test_a_public_name_that_leads_inside_is_refused(answer: list[str]) -> None:
    web = Web(DEFAULT_RULES, resolve=lambda host, port: answer)
    with pytest.raises(ValueError, match=r"inside\.example\.org leads to a private address"):
        web.read("https://inside.example.org/a", at_most=10)


def test_a_name_without_an_address_is_trouble_that_may_pass() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    with pytest.raises(ConnectionError, match=r"nowhere\.example\.org did not answer"):
        Web(DEFAULT_RULES, resolve=unknown).read("https://nowhere.example.org/a", at_most=10)


def test_a_trusted_host_answers(server: SourceServer) -> None:
    server.files["/a"] = b"abc"
    assert Web(server.rules).read(f"{server.url}/a", at_most=10).body == b"abc"


def test_a_redirect_within_trusted_hosts_is_followed(server: SourceServer) -> None:
    server.files |= {"/a": b"old", "/b": b"new"}
    server.faults["/a"] = Fault(redirect="/b")
    assert Web(server.rules).read(f"{server.url}/a", at_most=10).body == b"new"


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:1/",
        "https://localhost/",
        "https://[::ffff:127.0.0.1]/",
        "file:///etc/passwd",
        "https://user@example.org/",
    ],
)
def test_a_redirect_inside_is_refused(server: SourceServer, target: str) -> None:
    server.files["/a"] = b"abc"
    server.faults["/a"] = Fault(redirect=target)
    with pytest.raises(ValueError, match=r"not a public|reached by https|user name"):
        Web(server.rules).read(f"{server.url}/a", at_most=10)


def test_a_redirect_to_a_name_that_leads_inside_is_refused(server: SourceServer) -> None:
    server.files["/a"] = b"abc"
    server.faults["/a"] = Fault(redirect="https://rebound.example.org/a")
    web = Web(server.rules, resolve=lambda host, port: ["127.0.0.1"])
    with pytest.raises(ValueError, match="leads to a private address"):
        web.read(f"{server.url}/a", at_most=10)


def test_a_circle_of_redirects_ends(server: SourceServer) -> None:
    server.files["/a"] = b"abc"
    server.faults["/a"] = Fault(redirect="/a")
    with pytest.raises(ValueError, match="redirects more than 5 times"):
        Web(server.rules).read(f"{server.url}/a", at_most=10)


def test_a_login_is_not_sent_to_another_host(server: SourceServer) -> None:
    other = SourceServer()
    server.files["/a"] = other.files["/a"] = b"abc"
    server.faults["/a"] = Fault(redirect=f"{other.url}/a")
    web = Web(Rules(hosts=frozenset({server.host, other.host})))
    web.read(f"{server.url}/a", at_most=10, headers={"authorization": "Bearer hf_secret"})
    assert [h.get("authorization") for h in server.asked("/a")] == ["Bearer hf_secret"]
    assert ["authorization" in h for h in other.asked("/a")] == [False]
    other.end()


def test_an_endless_answer_is_cut(server: SourceServer) -> None:
    server.files["/a"] = b"x" * 1_000
    with pytest.raises(ValueError, match="more than 100 bytes"):
        Web(server.rules).read(f"{server.url}/a", at_most=100)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("token hf_AbCdEf123 refused", "token … refused"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer …"),
        ("GET https://a.org/b?X-Amz-Signature=1&c=2 failed", "GET https://a.org/b?… failed"),
        ("https://me:secret@a.org/b", "https://…@a.org/b"),
        ("key AKIAIOSFODNN7EXAMPLE", "key …"),
    ],
)
def test_secrets_are_scrubbed_from_messages(text: str, clean: str) -> None:
    assert scrub(text) == clean
