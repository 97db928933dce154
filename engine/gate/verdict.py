"""What the gate says of a file: the kinds it knows, the reasons it names, the limits it keeps."""

import dataclasses
import json
import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

_LONGEST_SENTENCE = 1_000


class Kind(StrEnum):
    """What a file is, by its name and its first bytes."""

    SAFETENSORS = "safetensors"
    TORCH_ZIP = "torch-zip"
    TORCH_LEGACY = "torch-legacy"
    JSON = "json"
    CONFIG = "python-config"
    SENTENCEPIECE = "sentencepiece"


class Reason(StrEnum):
    """Why a file is refused."""

    MISSING = "missing"
    NOT_A_FILE = "not-a-file"
    SYMLINK = "symlink"
    EMPTY = "empty"
    TOO_LARGE = "too-large"
    LFS_POINTER = "git-lfs-pointer"
    HTML_PAGE = "html-page"
    WRONG_KIND = "wrong-kind"
    UNKNOWN_KIND = "unknown-kind"
    TRUNCATED = "truncated"
    HEADER_TOO_LARGE = "header-too-large"
    BAD_HEADER = "bad-header"
    BAD_JSON = "bad-json"
    DUPLICATE_KEY = "duplicate-key"
    TOO_DEEP = "too-deep"
    TOO_MANY_TENSORS = "too-many-tensors"
    NO_TENSORS = "no-tensors"
    BAD_NAME = "bad-name"
    BAD_DTYPE = "bad-dtype"
    BAD_OFFSETS = "bad-offsets"
    BAD_ZIP = "bad-zip"
    COMPRESSED_ENTRY = "compressed-entry"
    EXPANDS = "expands"
    TORCHSCRIPT = "torchscript"
    BAD_PICKLE = "bad-pickle"
    UNSAFE_PICKLE = "unsafe-pickle"
    NOT_DATA = "not-data"
    WRONG_HASH = "wrong-hash"
    WRONG_TENSORS = "wrong-tensors"
    NOT_FINITE = "not-finite"
    OUT_OF_RANGE = "out-of-range"
    UNREADABLE = "unreadable"
    TOO_SLOW = "too-slow"
    TOO_MUCH_MEMORY = "too-much-memory"
    CRASHED = "crashed"


class RefusedError(ValueError):
    """A file is refused; `sentence` follows the file's name, as in "is empty"."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a file may cost."""

    file_bytes: int = 20 * 2**30
    header_bytes: int = 10_000_000
    tensors: int = 20_000
    pickle_bytes: int = 8_000_000
    json_bytes: int = 10_000_000
    json_depth: int = 24
    config_bytes: int = 256_000
    config_depth: int = 16
    sentencepiece_bytes: int = 16_000_000

    @classmethod
    def from_text(cls, text: str) -> "Limits":
        """What `to_text` wrote, for the processes of the sandbox."""
        return cls(**json.loads(text))

    def to_text(self) -> str:
        """All limits as one argument of a command."""
        return json.dumps(dataclasses.asdict(self))


@dataclass(frozen=True)
class TensorEntry:
    """One tensor of a safetensors file: dtype by its safetensors name, bytes within the data."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


# What a model expects of its file: for each tensor the dtypes it takes and its shape.
Expected = Mapping[str, tuple[Set[str], tuple[int, ...]]]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The gate's answer: accepted with kind and hash, or refused with a reason and a sentence.

    `tensors` describes an accepted file of weights, as it is stored.
    """

    path: Path
    accepted: bool
    kind: Kind | None = None
    sha256: str = ""
    reason: Reason | None = None
    sentence: str = ""
    tensors: Mapping[str, TensorEntry] = field(default_factory=dict)


def refused(path: Path, refusal: RefusedError) -> Verdict:
    """A refusal as a verdict; its sentence begins with the file's name and fits on one line."""
    sentence = f"{shown(path.name)} {refusal.sentence}"[:_LONGEST_SENTENCE]
    printable = "".join(character if character.isprintable() else "?" for character in sentence)
    return Verdict(path=path, accepted=False, reason=refusal.reason, sentence=printable)


def shown(path: str) -> str:
    """A path on one line, whatever is in it."""
    return re.sub(r"[^\w.\- ()+=@,/]", "?", path)


def quoted(text: str) -> str:
    """Foreign text, fit for a sentence: printable ASCII, at most 80 characters."""
    return ascii(text if len(text) <= 80 else text[:79] + "~")
