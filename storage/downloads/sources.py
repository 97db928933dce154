"""Where foreign checkpoints may come from: which texts name a source, which are refused (T4)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

Kind = Literal["folder", "hf", "s3", "gs", "https"]

FORMS = "folder:NAME, OWNER/REPOSITORY@REVISION, hf://, s3://, gs:// or https://"
LONGEST = 1_000

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?"
_SEGMENT = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.+=@,() -]{0,198}[A-Za-z0-9_.+=@,()-])?")
_FOLDER = re.compile(rf"folder:({_NAME})")
# A branch may have slashes, which are written as %2F: without them a path follows the revision.
_REVISION = (
    r"refs/pr/\d{1,9}|refs%2Fpr%2F\d{1,9}|[A-Za-z0-9](?:(?:[A-Za-z0-9._-]|%2F){0,94}[A-Za-z0-9])?"
)
_HUB = re.compile(rf"(?:hf://)?({_NAME}/{_NAME})(?:@({_REVISION}))?(?:/(.*))?")
_DATASET = re.compile(rf"hf://(datasets/{_NAME}/{_NAME})(?:@({_REVISION}))?(?:/(.*))?")
_PLAIN_REVISION = re.compile(r"main|master|v?\d[\w.-]*|[0-9a-f]{7,40}|refs/pr/\d+")
_PASTED = re.compile(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/(.+?)/?(?:[?#].*)?")
_PAGE = re.compile(rf"({_NAME}/{_NAME})(?:/(tree|blob)/([^/]+)(?:/(.*))?)?")
_BUCKET = re.compile(r"(s3|gs)://([a-z0-9][a-z0-9_-]{1,61}[a-z0-9])/(.*)")
_WEB = re.compile(r"(https?)://([^/\s]+)/(.*)")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# The last label begins with a letter, so that no spelling of an IP address is a host name.
_HOST = re.compile(rf"(?:{_LABEL}\.)+[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])")
_INWARD = ("local", "localhost", "localdomain", "internal", "intranet", "lan", "home", "corp")
_KINDS_OF_REPOSITORY = ("datasets", "spaces", "models", "buckets")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the administrator decided about sources.

    Attributes:
        hub: address of the Hub or of a mirror of it.
        s3, gs: address of a public bucket; `{bucket}` is replaced by its name.
        hosts: `host:port` that may have private addresses, other ports and plain http: a mirror
            in the same building, or the server of a test.
    """

    hub: str = "https://huggingface.co"
    s3: str = "https://{bucket}.s3.amazonaws.com"
    gs: str = "https://storage.googleapis.com/{bucket}"
    hosts: frozenset[str] = frozenset()


DEFAULT_RULES = Rules()


@dataclass(frozen=True, kw_only=True)
class Source:
    """One admitted source.

    Attributes:
        place: name of a registered folder, `owner/repository` (of a dataset with `datasets/` before
            it, as in its address), bucket, or scheme and host.
        path: below that place, without a slash in front; one at its end says that it is a folder.
        revision: of a Hub repository: a branch, tag or commit; empty elsewhere.
    """

    kind: Kind
    place: str
    path: str = ""
    revision: str = ""

    def __str__(self) -> str:
        match self.kind:
            case "folder":
                return f"folder:{self.place}"
            case "hf":
                path = f"/{self.path}" if self.path else ""
                revision = self.revision
                if not revision.startswith("refs/pr/"):
                    revision = revision.replace("/", "%2F")
                return f"hf://{self.place}@{revision}{path}"
            case "https":
                return f"{self.place}/{self.path}"
            case _:
                return f"{self.kind}://{self.place}/{self.path}"


def rules_from(environ: Mapping[str, str]) -> Rules:
    """The rules of an environment: HF_ENDPOINT (a mirror of the Hub) and WMPO_SOURCE_HOSTS.

    The latter lists `host:port` that the administrator trusts, separated by commas.
    """
    hosts = {host.strip() for host in environ.get("WMPO_SOURCE_HOSTS", "").split(",")}
    hub = environ.get("HF_ENDPOINT", "").rstrip("/") or Rules.hub
    if hub != Rules.hub:
        hosts.add(host_and_port(hub))
    return Rules(hub=hub, hosts=frozenset(hosts - {""}))


def parse_source(text: str, rules: Rules) -> Source:
    """The source that a text names.

    Raises:
        ValueError: it names none, or one that is not admitted.
    """
    if len(text) > LONGEST:
        raise ValueError(f"a source may have {LONGEST} characters, not {len(text)}")
    for sign, why in (("::", "chain file systems"), ("..", "leave its place")):
        if sign in text:
            raise ValueError(f"a source may not {why} with {sign!r}")
    if found := _FOLDER.fullmatch(text):
        return Source(kind="folder", place=found[1])
    if found := _BUCKET.fullmatch(text):
        kind: Kind = "s3" if found[1] == "s3" else "gs"
        return Source(kind=kind, place=found[2], path=_below(found[3]))
    if found := _PASTED.fullmatch(text):
        return _of_page(text, found[1])
    if found := _WEB.fullmatch(text):
        check_address(text, rules)
        return Source(kind="https", place=f"{found[1]}://{found[2].lower()}", path=_below(found[3]))
    if found := _DATASET.fullmatch(text):
        return _on_hub(found[1], found[2] or "main", found[3] or "")
    if (found := _HUB.fullmatch(text)) and found[1].split("/")[0] not in _KINDS_OF_REPOSITORY:
        return _on_hub(found[1], found[2] or "main", found[3] or "")
    raise ValueError(f"{_shown(text)} is not a source: {FORMS}")


def _on_hub(place: str, revision: str, path: str) -> Source:
    revision = revision.replace("%2F", "/")
    if path and "/" not in revision and not _PLAIN_REVISION.fullmatch(revision):
        raise ValueError(
            f"is {path!r} a path on the branch {revision!r}, or a part of the branch's name? Write "
            f"{place}@{revision}%2F{path} for the branch; a path follows main, a tag or a commit"
        )
    return Source(kind="hf", place=place, revision=revision, path=_below(path))


def _of_page(text: str, path: str) -> Source:
    """The source that a page of the Hub shows, as people paste it."""
    found = _PAGE.fullmatch(path)
    if found is None or found[1].split("/")[0] in _KINDS_OF_REPOSITORY:
        raise ValueError(
            f"{_shown(text)} is no page of a model on the Hub: OWNER/REPOSITORY@REVISION is enough"
        )
    revision = (found[3] or "main").replace("%2F", "/")
    if not re.fullmatch(_REVISION, revision.replace("/", "%2F")):
        raise ValueError(f"{_shown(revision)} is no revision")
    return Source(
        kind="hf", place=found[1], revision=revision, path=_below(unquote(found[4] or ""))
    )


def check_address(url: str, rules: Rules) -> None:
    """Refuse an address that no download may reach, by its text; `storage.downloads.web` checks
    where a host name really leads.

    Raises:
        ValueError: not https, a user name or port in it, or a host inside somebody's network.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ValueError(f"{_shown(url)} is not an address") from error
    if "@" in parts.netloc:
        raise ValueError("a source may not carry a user name or password")
    if parts.netloc.lower() in rules.hosts and parts.scheme in ("http", "https"):
        return
    if parts.scheme != "https":
        raise ValueError(f"a source must be reached by https, not {_shown(parts.scheme)}")
    if port is not None:
        raise ValueError(f"a source may not name a port: {_shown(parts.netloc)}")
    if not _HOST.fullmatch(host) or len(host) > 253 or host.split(".")[-1] in _INWARD:
        raise ValueError(f"{_shown(host)} is not a public host name")


def check_path(path: str) -> str:
    """The path of a file inside a source, if it can only lie inside it.

    Raises:
        ValueError: absolute, with '..', hidden, with escapes or with odd characters.
    """
    if len(path) > LONGEST or not all(_SEGMENT.fullmatch(name) for name in path.split("/")):
        raise ValueError(f"{_shown(path)} is not a path that a source may hold")
    return path


def file_url(base: str, path: str) -> str:
    """The address of a checked path below another address."""
    return f"{base}/{quote(path)}"


def host_and_port(url: str) -> str:
    """`host` or `host:port` of an address, as `Rules.hosts` spells it."""
    return urlsplit(url).netloc.lower()


def _below(path: str) -> str:
    """A path that may be empty or end in a slash."""
    if path:
        check_path(path.removesuffix("/"))
    return path


def _shown(text: str) -> str:
    # A refused text may hold a password: show its beginning without what precedes an '@'.
    plain = text.rpartition("@")[2] if "@" in text else text
    return repr(plain if len(plain) <= 60 else f"{plain[:57]}…")
