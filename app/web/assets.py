"""The scripts of the studio: ES modules below `app/`, served as they lie in the repository.

Their address carries a version of all their contents as a folder, so relative imports inherit it:
browsers keep every file for ever and never mix two versions.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

PREFIX = "gradio_api/assets"  # relative: also right behind a proxy that adds a path
ROOT = Path(__file__).parents[1]
_TYPES = {".js": "text/javascript", ".json": "application/json"}
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_IMPORT = re.compile(r'^(?:import|export \{)[^;"]*"(\.[^"]+)"', re.MULTILINE)
_EXPORT = re.compile(r"^export (?:async )?(?:const|let|function\*?|class) (\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Modules:
    """The modules as they were when the studio started, by their path below `app/`."""

    files: dict[str, bytes]
    version: str
    homes: dict[str, str]

    def graph(self, path: str) -> list[str]:
        """A module and all that it imports, itself first."""
        found = [path]
        for each in found:
            for address in _IMPORT.findall(self.files[each].decode()):
                wanted = _resolved(PurePosixPath(each).parent / address)
                if wanted not in found:
                    found.append(wanted)
        return found

    def address(self, path: str) -> str:
        """Where the studio serves the module, relative to a page."""
        return f"{PREFIX}/{self.version}/{path}"


@cache
def modules() -> Modules:
    """Read all modules of the studio."""
    files = {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for suffix in _TYPES
        for path in sorted(ROOT.rglob(f"*{suffix}"))
    }
    version = hashlib.sha256(repr(files).encode()).hexdigest()[:12]
    homes = {name: path for path, text in files.items() for name in _EXPORT.findall(text.decode())}
    return Modules(files, version, homes)


def imported(name: str) -> str:
    """A JavaScript promise of the module that exports `name`."""
    known = modules()
    return f"import(new URL('{known.address(known.homes[name])}', document.baseURI))"


def head(name: str) -> str:
    """Tags for a component's `head`: all that the module of `name` imports comes at once."""
    known = modules()
    links = [
        f'<link rel="modulepreload" href="{known.address(path)}">'
        for path in known.graph(known.homes[name])
        if path.endswith(".js")
    ]
    return "".join(links)


def plotly_address() -> str:
    """Where a page finds plotly.min.js, which a script asks for when it draws its first chart.

    It is 5 MB: what stands in the head of a page would hold up everything else on it.
    """
    return f"{PREFIX}/plotly.min.js?v={plotly_script().stat().st_size}"


def plotly_script() -> Path:
    """plotly.min.js of the installed plotly package.

    Raises:
        ImportError: plotly is not installed.
    """
    spec = find_spec("plotly")
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError("charts need plotly: pip install plotly")
    return Path(spec.submodule_search_locations[0]) / "package_data" / "plotly.min.js"


def routes() -> list[Route]:
    """Where the scripts are served."""
    return [
        Route(f"/{PREFIX}/plotly.min.js", _plotly),
        Route(f"/{PREFIX}/{{version}}/{{path:path}}", _module),
    ]


def _module(request: Request) -> Response:
    known = modules()
    path = request.path_params["path"]
    if request.path_params["version"] != known.version or path not in known.files:
        return Response(status_code=404)
    kind = _TYPES[PurePosixPath(path).suffix]
    return Response(known.files[path], media_type=kind, headers=_FOREVER)


def _plotly(request: Request) -> Response:
    return FileResponse(plotly_script(), media_type="text/javascript", headers=_FOREVER)


def _resolved(path: PurePosixPath) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)
