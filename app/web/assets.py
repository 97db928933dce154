"""The scripts of the studio, served by the app itself: nothing is loaded from another host."""

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

PREFIX = "gradio_api/assets"  # relative: also right behind a proxy that adds a path
SCRIPTS = (
    "core",
    "keys",
    "help",
    "stage",
    "player",
    "strips",
    "settings",
    "dream",
    "twin",
    "pad",
    "branches",
    "dream_view",
    "outbox",
    "strokes",
    "rail",
    "marks",
    "queues",
    "supply",
    "comparisons",
    "compare",
    "judge",
    "chart",
    "film",
    "grid",
    "filters",
    "drawer",
    "imports",
    "episodes",
    "matrix",
    "threshold",
    "rejudging",
    "reward",
    "group",
    "wall",
    "publish",
    "checkpoints",
    "runs",
    "pair",
    "curves",
    "planned",
    "evaluate_form",
    "evaluate_side",
    "evaluate",
    "fidelity",
    "memory",
    "slot",
    "models",
    "sources",
    "errands",
    "exchange",
    "audit",
    "keeping",
    "data",
    "retrain",
    "header",
)
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}


@cache
def studio_script() -> str:
    """All scripts in one text, in the order in which they build on each other."""
    here = Path(__file__).parent
    found = {path.stem: path for path in here.parent.glob("*/*.js")}
    parts = [found[name].read_text(encoding="utf-8") for name in SCRIPTS]
    return "\n".join(parts).replace("/*KEYS*/ {}", (here / "keys.json").read_text(encoding="utf-8"))


def plotly_script() -> Path:
    """plotly.min.js of the installed plotly package.

    Raises:
        ImportError: plotly is not installed.
    """
    spec = find_spec("plotly")
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError("charts need plotly: pip install plotly")
    return Path(spec.submodule_search_locations[0]) / "package_data" / "plotly.min.js"


def head(*, charts: bool = False) -> str:
    """Script tags for a component's `head`; the version in the address lets browsers cache them."""
    version = hashlib.sha256(studio_script().encode()).hexdigest()[:12]
    studio = f'<script src="{PREFIX}/studio.js?v={version}"></script>'
    if not charts:
        return studio
    size = plotly_script().stat().st_size
    return f'<script src="{PREFIX}/plotly.min.js?v={size}"></script>{studio}'


def routes() -> list[Route]:
    """Where the scripts are served."""
    return [Route(f"/{PREFIX}/{{name}}", _asset)]


def _asset(request: Request) -> Response:
    match request.path_params["name"]:
        case "studio.js":
            return Response(studio_script(), media_type="text/javascript", headers=_FOREVER)
        case "plotly.min.js":
            return FileResponse(plotly_script(), media_type="text/javascript", headers=_FOREVER)
    return Response(status_code=404)
