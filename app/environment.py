"""The environment, looked at before anything else is imported: mended, or said in one sentence.

Gradio and its HTTP client read variables while they are imported, and answer a bad one with a
traceback from deep inside. Only the standard library stands here.
"""

import ctypes
import gc
import logging
import os
import pwd
import socket
import sys
import tempfile
from collections.abc import MutableMapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

Environ = MutableMapping[str, str]

_M_ARENA_MAX = -8  # of glibc's malloc.h
_PROXIES = ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def prepare(environ: Environ) -> list[str]:
    """Mend what can be mended; what was done, a sentence each, naming the variable.

    Raises:
        ValueError: the studio cannot start like this; names the variable and the way out.
    """
    done = [*_proxies(environ), *_home(environ), *_temporary(environ)]
    _certificates(environ)
    _log_level(environ)
    server_port(environ)
    _server_name(environ)
    return done


def without_stubs() -> None:
    """Keep Gradio, imported later, from deriving type stubs of its components: a third of its time.

    It writes them beside its own modules, for editors; where it no longer does, this does nothing.
    """
    sys.meta_path.insert(0, _StubFinder())


def keep_few_arenas() -> None:
    """Have the C library keep two heaps and not one for each thread; call it before there are any.

    Where there is no such setting, nothing is done.
    """
    if set_one := getattr(ctypes.CDLL(None), "mallopt", None):
        set_one(_M_ARENA_MAX, 2)


def give_memory_back() -> None:
    """Return to the system what is free in the heaps, which else only grow: some milliseconds."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


def keep_what_stands() -> None:
    """Take what has been built out of garbage collection; call it when the pages stand.

    Python looks through everything only when a quarter as much again has piled up. Beside libraries
    and pages (a million objects) that is tens of megabytes of what visits leave behind; without
    them it is little, found soon, at a hundredth of the cost.
    """
    gc.collect()
    gc.freeze()
    gc.collect()  # Python remembers how much it last found, and waits for a quarter of that


class _StubFinder(MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path) if name == "gradio.component_meta" else None
        if spec is not None and spec.origin is not None:
            spec.loader = _StubLoader(name, spec.origin)
        return spec


class _StubLoader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        vars(module)["create_or_modify_pyi"] = lambda *_: None


def server_port(environ: Environ) -> int | None:
    """The port that was asked for; None where any free one will do.

    Raises:
        ValueError: GRADIO_SERVER_PORT is no port, or somebody else has it.
    """
    text = environ.get("GRADIO_SERVER_PORT", "").strip()
    if not text:
        environ.pop("GRADIO_SERVER_PORT", None)
        return None
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65_536:
        raise ValueError(f"GRADIO_SERVER_PORT must be a number from 1 to 65535, not {text!r}")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(text)))
        except OSError as error:
            raise ValueError(
                f"GRADIO_SERVER_PORT names port {text}, which cannot be had ({error.strerror}): "
                "end what uses it, or name another"
            ) from error
    return int(text)


def _proxies(environ: Environ) -> list[str]:
    done = []
    for name in [name for base in _PROXIES for name in (base, base.lower())]:
        address = environ.get(name, "")
        if address.lower().startswith("socks") and find_spec("socksio") is None:
            del environ[name]
            done.append(f"{name} names a SOCKS proxy, which needs the package socksio: left out")
    for name in ("NO_PROXY", "no_proxy"):
        parts = [part.strip() for part in environ.get(name, "").split(",") if part.strip()]
        ranges = [part for part in parts if ":" in part and "/" in part]
        if ranges:
            environ[name] = ",".join(part for part in parts if part not in ranges)
            done.append(f"{name} holds ranges of IPv6, which are not understood: left out")
    if any(environ.get(name) or environ.get(name.lower()) for name in _PROXIES):
        # The studio asks itself whether it is there: never through a proxy.
        known = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
        parts = [part for part in known.split(",") if part]
        joined = ",".join([*parts, *(name for name in _LOOPBACK if name not in parts)])
        environ["NO_PROXY"] = environ["no_proxy"] = joined
    return done


def _home(environ: Environ) -> list[str]:
    try:
        known = bool(environ.get("HOME")) or bool(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        known = False
    if known:
        return []
    data = environ.get("WMPO_DATA_DIR")
    if not data:
        raise ValueError(
            "this user has no home directory: set WMPO_DATA_DIR to where the data should lie, or "
            "HOME to a directory that may be written"
        )
    environ["HOME"] = data
    environ.setdefault("USER", "studio")
    environ.setdefault("LOGNAME", environ["USER"])
    return ["HOME is not set and this user has none: WMPO_DATA_DIR is taken for it"]


def _temporary(environ: Environ) -> list[str]:
    name = environ.get("GRADIO_TEMP_DIR")
    if not name:
        environ.pop("GRADIO_TEMP_DIR", None)
        return []
    was_there = Path(name).is_dir()
    try:
        Path(name).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=name):
            pass
    except OSError as error:
        raise ValueError(
            f"GRADIO_TEMP_DIR names {name}, which cannot be written ({error.strerror}): name "
            "another directory, or leave it out"
        ) from error
    return [] if was_there else [f"GRADIO_TEMP_DIR named {name}, which was not there: made"]


def _certificates(environ: Environ) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        path = environ.get(name)
        if path and not Path(path).exists():
            raise ValueError(f"{name} names {path}, which is not there: correct it or leave it out")


def _log_level(environ: Environ) -> None:
    level = environ.get("WMPO_LOG", "INFO").upper()
    if level not in _LEVELS:
        raise ValueError(f"WMPO_LOG must be one of {', '.join(_LEVELS)}, not {level!r}")


def _server_name(environ: Environ) -> None:
    name = environ.get("GRADIO_SERVER_NAME", "").strip()
    if not name:
        environ.pop("GRADIO_SERVER_NAME", None)
        return
    try:
        found = socket.getaddrinfo(name.strip("[]"), None, type=socket.SOCK_STREAM)
        family, kind, _, _, address = found[0]
        with socket.socket(family, kind) as probe:
            probe.bind(address)
    except (OSError, UnicodeError) as error:
        raise ValueError(
            f"GRADIO_SERVER_NAME names {name!r}, which is no address of this machine ({error})"
        ) from error


def tell(done: list[str]) -> None:
    """Say in the log what was done."""
    for sentence in done:
        logging.getLogger("studio").warning("%s", sentence)
