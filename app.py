"""The studio: builds every object, serves the pages, ends cleanly. `python app.py`, or `make run`.

Read from the environment: GRADIO_SERVER_NAME and GRADIO_SERVER_PORT (default: loopback, the first
free port from 7860), WMPO_DATA_DIR (where everything is kept; default ~/.wmpo/studio),
WMPO_DEMO_DIR (checkpoints and starts instead of the shipped ones, as `python -m engine demo` makes
them), WMPO_LOG (level of the log), HF_ENDPOINT and WMPO_SOURCE_HOSTS (mirrors to fetch checkpoints
from), WMPO_HOSTS (names of proxies under which it is reached) and, on a Space, SPACE_ID (public
mode: caps, a guest pool), SPACES_ZERO_GPU (dreams are computed on a GPU that is lent),
OAUTH_CLIENT_SECRET (visitors may log in) and WMPO_ADMINS (who may do everything, besides the
Space's owner, by their names on the Hub).
"""

import logging
import os
import signal
import sys
import tempfile
import threading
from importlib.util import find_spec
from pathlib import Path

from app.environment import (
    give_memory_back,
    keep_few_arenas,
    keep_what_stands,
    prepare,
    server_port,
    tell,
    without_stubs,
)

try:
    SAID = prepare(os.environ)
except ValueError as told:
    sys.exit(f"The studio cannot start: {told}")
without_stubs()
keep_few_arenas()

# These read the environment while they are imported.
import torch

from app.live.lent_gpu import lent_gpu
from app.runs.uploads import clear_orphans, held_uploads
from app.studio import Studio
from app.ui import site as ui
from app.visitors import Role, Seal
from app.web.doors import door_rules
from app.web.sessions import logins
from engine.device import choose_device, limit_threads
from engine.records.tasks import get_task
from storage.downloads.sources import rules_from
from storage.workspace import data_directory, open_workspace

DEMO = Path(__file__).parent / "storage" / "demo"
TASK = "coffee-push"
TRIM_SECONDS = 5

logger = logging.getLogger("studio")


def device_words(device: torch.device) -> str:
    """The machine in a few words, such as "CPU · 2 cores"."""
    if device.type == "cuda":
        return f"GPU · {torch.cuda.get_device_properties(device).name}"
    cores = os.cpu_count() or 1
    return f"CPU · {cores} core{'s' * (cores > 1)}"


def main() -> None:
    """Serve until SIGINT or SIGTERM; runs go on in their own processes."""
    logging.basicConfig(
        level=os.environ.get("WMPO_LOG", "INFO").upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    tell(SAID)
    limit_threads()
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    try:
        workspace = open_workspace(data_directory(os.environ))
        studio = Studio(
            workspace,
            demo=Path(os.environ.get("WMPO_DEMO_DIR") or DEMO),
            role=Role.VISITOR if "SPACE_ID" in os.environ else Role.ADMIN,
            gpu=lent_gpu(os.environ),
            rules=rules_from(os.environ),
        )
    except (OSError, ValueError) as error:
        sys.exit(f"The studio cannot start: {error}")
    clear_orphans(Path(tempfile.gettempdir()))
    with held_uploads() as uploads:
        os.environ.setdefault("GRADIO_TEMP_DIR", str(uploads))
        try:
            serve(studio, stop)
        finally:
            studio.close()


def visitors_of(studio: Studio) -> ui.Visitors:
    """How the visitors of a public studio are told apart."""
    seal = Seal(studio.data_directory / ".secret")
    return ui.Visitors(seal=seal, access=studio.access, logins=logins(os.environ))


def serve(studio: Studio, stop: threading.Event) -> None:
    """Show the pages of a studio until `stop` is set."""
    task = get_task(TASK)
    blocks = ui.build(
        studio,
        device=device_words(choose_device()),
        instruction=task.instruction,
        horizon=task.horizon,
        login=logins(os.environ).open and find_spec("authlib") is not None,  # a Space has it
        space=os.environ.get("SPACE_ID", ""),
    )
    address = ui.launch(
        blocks,
        data_directory=studio.data_directory,
        health=studio.health.look,
        port=server_port(os.environ),
        doors=door_rules(os.environ),
        visitors=visitors_of(studio) if studio.access.guest else None,
    )
    keep_what_stands()
    studio.warm_up()
    logger.info("The studio is open at %s; its data lies in %s", address, studio.data_directory)
    while not stop.wait(TRIM_SECONDS):
        give_memory_back()
    logger.info("The studio closes; runs go on.")
    blocks.close()


if __name__ == "__main__":
    main()
