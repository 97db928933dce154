"""Which texts name a source, and that none of them reaches into a private network."""

import ipaddress
import socket

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from storage.downloads.sources import (
    DEFAULT_RULES,
    Rules,
    Source,
    check_address,
    check_path,
    parse_source,
    rules_from,
)

PRIVATE = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "10.0.0.8",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.100.100.200",
    "0.0.0.0",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "localhost",
    "localhost.",
    "metadata.google.internal",
    "printer.local",
    "studio",
]


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("fangqi/WMPO", Source(kind="hf", place="fangqi/WMPO", revision="main")),
        (
            "hf://datasets/someone/drawer@v3.0",
            Source(kind="hf", place="datasets/someone/drawer", revision="v3.0"),
        ),
        ("fangqi/WMPO@v1.0", Source(kind="hf", place="fangqi/WMPO", revision="v1.0")),
        (
            "hf://fangqi/WMPO@main/checkpoint_files/world_models/vae",
            Source(
                kind="hf",
                place="fangqi/WMPO",
                revision="main",
                path="checkpoint_files/world_models/vae",
            ),
        ),
        ("s3://robot-models/wmpo/", Source(kind="s3", place="robot-models", path="wmpo/")),
        (
            "gs://robot_models/wmpo/a.pth",
            Source(kind="gs", place="robot_models", path="wmpo/a.pth"),
        ),
        (
            "https://example.org/a/model.safetensors",
            Source(kind="https", place="https://example.org", path="a/model.safetensors"),
        ),
        ("folder:mine", Source(kind="folder", place="mine")),
    ],
)
def test_a_source_is_named_by_its_text(text: str, source: Source) -> None:
    assert parse_source(text, DEFAULT_RULES) == source


@pytest.mark.parametrize(
    "text", ["folder:mine", "hf://a/b@main/c", "s3://bucket/a", "https://a.org/b"]
)
def test_the_text_of_a_source_names_it_again(text: str) -> None:
    assert str(parse_source(text, DEFAULT_RULES)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/etc/passwd",
        "../secret/file",
        "a",
        "file:///etc/hostname",
        "local:///etc/hostname",
        "simplecache::file:///etc/hostname",
        "filecache::https://example.org/a",
        "https::file:///etc/hostname",
        "memory://a/b",
        "ftp://example.org/a",
        "http://example.org/a",
        "https://example.org:8443/a",
        "https://me:secret@example.org/a",
        "https://example.org/a/../../b",
        "https://example.org/%2e%2e/b",
        "https://example.org/a?b=c",
        "https://example.org/a#b",
        "https://example.org\\@127.0.0.1/a",
        "https://example.org",
        "s3://bucket/../other/a",
        "s3://key:secret@bucket/a",
        "datasets/someone/things",
        "hf://spaces/someone/things",
        "hf://fangqi/WMPO@main/../../x",
        "hf://fangqi/WMPO/.git/config",
        "folder:../mine",
        "folder:",
        "fangqi/WMPO\n",
        "x/" + "y" * 2_000,
    ],
)
def test_what_is_no_source_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"source|path|name|https|host"):
        parse_source(text, DEFAULT_RULES)


@pytest.mark.parametrize("host", PRIVATE)
def test_no_spelling_of_a_private_host_passes(host: str) -> None:
    with pytest.raises(ValueError, match=r"not a public host name|may not|not an address"):
        parse_source(f"https://{host}/model.pth", DEFAULT_RULES)


def is_numeric(host: str) -> bool:
    """Whether any resolver would take a host for an IP address."""
    try:
        socket.inet_aton(host)
        return True
    except OSError:
        return host.startswith("[")


ADDRESSES = st.one_of(
    st.ip_addresses().map(lambda ip: f"[{ip}]" if ip.version == 6 else str(ip)),
    st.integers(0, 2**32 - 1).map(str),
    st.integers(0, 2**32 - 1).map(hex),
    st.sampled_from(PRIVATE),
    st.from_regex(r"[a-z0-9.\-]{1,20}", fullmatch=True),
    st.text(max_size=12),
)


@given(
    st.sampled_from(["https", "http", "HTTPS", "hf", "s3", "gs", "file", "ftp"]),
    st.sampled_from(["", "u@", "u:p@", "example.org@", "example.org\\@"]),
    ADDRESSES,
    st.sampled_from(["", ":443", ":80", ":8080", "."]),
    st.sampled_from(["/a", "/a/b.pth", "/", "", "/../a", "//a", "/a::b"]),
)
@example("https", "", "1.2.3.4", "", "/a")
def test_whatever_passes_is_a_public_looking_name(
    scheme: str, user: str, host: str, port: str, path: str
) -> None:
    try:
        source = parse_source(f"{scheme}://{user}{host}{port}{path}", DEFAULT_RULES)
    except ValueError:
        return
    if source.kind == "https":
        name = source.place.removeprefix("https://")
        assert not is_numeric(name)
        assert "@" not in name
        assert ":" not in name
        assert name.split(".")[-1] not in ("localhost", "local", "internal")
        with pytest.raises(ValueError, match="not appear"):
            ipaddress.ip_address(name)


@given(
    st.lists(st.sampled_from(["a", "..", ".", "", "b.pt", ".git", "~", "%2e", "c\\d", "C:", "\0"]))
)
def test_no_path_leads_out_of_a_download(names: list[str]) -> None:
    path = "/".join(names)
    try:
        check_path(path)
    except ValueError:
        return
    assert set(names) <= {"a", "b.pt"}


def test_the_administrator_may_trust_a_host() -> None:
    rules = Rules(hosts=frozenset({"127.0.0.1:8000"}))
    assert parse_source("http://127.0.0.1:8000/a", rules).place == "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8001/a", "http://127.0.0.1/a", "ftp://127.0.0.1:8000/a"]
)
def test_trust_in_a_host_covers_its_port_alone(url: str) -> None:
    with pytest.raises(ValueError, match=r"https|port"):
        check_address(url, Rules(hosts=frozenset({"127.0.0.1:8000"})))


def test_a_mirror_of_the_hub_is_trusted() -> None:
    rules = rules_from({"HF_ENDPOINT": "http://mirror:8080/", "WMPO_SOURCE_HOSTS": "a:1, b:2"})
    assert (rules.hub, rules.hosts) == ("http://mirror:8080", {"mirror:8080", "a:1", "b:2"})


def test_without_settings_no_host_is_trusted() -> None:
    assert rules_from({}) == DEFAULT_RULES


def test_a_refusal_does_not_repeat_a_password() -> None:
    with pytest.raises(ValueError, match=r"^(?!.*hunter2)"):
        parse_source("ftp://me:hunter2@example.org/a", DEFAULT_RULES)


@pytest.mark.parametrize(
    ("text", "revision", "path"),
    [
        ("a/b@refs/pr/3", "refs/pr/3", ""),
        ("a/b@refs/pr/3/x", "refs/pr/3", "x"),
        ("hf://a/b@feature%2Fx", "feature/x", ""),
        ("https://huggingface.co/a/b", "main", ""),
        ("https://huggingface.co/a/b/", "main", ""),
        ("https://huggingface.co/a/b?library=x#files", "main", ""),
        ("https://huggingface.co/a/b/tree/main/some/folder", "main", "some/folder"),
        ("https://huggingface.co/a/b/blob/refs%2Fpr%2F3/config.json", "refs/pr/3", "config.json"),
        ("https://hf.co/a/b/tree/feature%2Fx", "feature/x", ""),
    ],
)
def test_a_revision_and_a_pasted_page_mean_what_they_say(
    text: str, revision: str, path: str
) -> None:
    found = parse_source(text, DEFAULT_RULES)
    assert (found.kind, found.place, found.revision, found.path) == ("hf", "a/b", revision, path)
    assert parse_source(str(found), DEFAULT_RULES) == found


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a/b@feature/x", "or a part of the branch's name"),
        ("https://huggingface.co/datasets/a/b", "no page of a model"),
        ("https://huggingface.co/a/b/discussions/3", "no page of a model"),
    ],
)
def test_what_could_mean_two_things_is_asked(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse_source(text, DEFAULT_RULES)
