"""Who asks: a visitor of a Space, told from the others by a cookie that only the studio can write.

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
from pathlib import Path

_ASKING: ContextVar[str] = ContextVar("asking", default="")
_NAME = re.compile(r"[A-Za-z0-9_-]{16,40}")


def visitor() -> str:
    """The visitor whose question is answered now; empty at home, and where nobody is known."""
    return _ASKING.get()


@contextmanager
def asking(name: str) -> Iterator[None]:
    """Inside the block, `visitor` is this one; threads that are begun there inherit it."""
    token = _ASKING.set(name)
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
