"""Who asks: somebody on a Space, told from the others by a cookie that only the studio can write,
or by the name that the Hub gave them.

At home there are no visitors: whoever reaches the studio is its owner, and `visitor` is empty.
"""

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Role(StrEnum):
    """What somebody is here."""

    VISITOR = "visitor"  # of a Space
    ANNOTATOR = "annotator"  # a visitor whom the Hub knows by name
    ADMIN = "admin"  # whoever runs the studio


@dataclass
class Person:
    """Who asks, by a name that nobody else has.

    Attributes:
        place: where they ask from, which a new name does not change.
        too_much: whether the question went beyond a limit; the answer is a 429 then.
        paid: what was counted when they joined the queue, and is not counted again behind it.
    """

    name: str = ""
    role: Role = Role.VISITOR
    place: str = ""
    too_much: bool = False
    paid: set[str] = field(default_factory=set)


_NOBODY = Person()
_ASKING: ContextVar[Person] = ContextVar("asking", default=_NOBODY)
_NAME = re.compile(r"[A-Za-z0-9_-]{16,40}")


def person() -> Person | None:
    """Who asks the question that is answered now; None at home, and where nobody is known."""
    found = _ASKING.get()
    return found if found.name else None


def visitor() -> str:
    """The name of `person`; empty where there is none."""
    return _ASKING.get().name


def may_change(owner: str) -> bool:
    """Whether who asks may change what `owner` began: themselves, an admin, anybody at home."""
    found = person()
    return found is None or found.role is Role.ADMIN or found.name == owner


@contextmanager
def asking(who: Person | str) -> Iterator[None]:
    """Inside the block, `visitor` is this one; threads that are begun there inherit it."""
    token = _ASKING.set(Person(who) if isinstance(who, str) else who)
    try:
        yield
    finally:
        _ASKING.reset(token)


class Seal:
    """Signs the names of visitors with a secret of this studio, which no other process reads."""

    def __init__(self, path: Path) -> None:
        """Read the secret of a file, or make one."""
        with suppress(FileExistsError):  # then it was made before
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as stream:
                stream.write(secrets.token_hex(32))
        self._key = path.read_bytes()

    def new(self) -> str:
        """A name that nobody has, signed."""
        name = secrets.token_urlsafe(16)
        return f"{name}.{self._sign(name)}"

    def read(self, signed: str) -> str:
        """The name in a signed one; empty where the studio did not sign it."""
        name, _, signature = signed.partition(".")
        is_ours = hmac.compare_digest(signature.encode(), self._sign(name).encode())
        return name if is_ours and _NAME.fullmatch(name) else ""

    def _sign(self, name: str) -> str:
        return hmac.new(self._key, name.encode(), hashlib.sha256).hexdigest()[:32]
