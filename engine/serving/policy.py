"""`python -m engine serve CHECKPOINT`: a policy answers `POST /act`, as OpenVLA's servers do.

The question is JSON: `image` (uint8 [h, w, 3], as json-numpy writes arrays, or lists) and
`instruction`; the answer is the next chunk of raw actions [k, a]. Only this machine is answered,
unless another --host is given, and then only who knows the token in WMPO_SERVE_TOKEN.
"""

import argparse
import json
import logging
import os
import sys
from pathlib import Path

from engine.device import choose_device, default_placement, limit_threads
from engine.loading.models import load_policy
from engine.recordings.plan import RecordingPlan
from engine.serving.act import Actor, make_server
from engine.serving.loopback import is_loopback

TOKEN = "WMPO_SERVE_TOKEN"
BAD_INPUT = 2


def main(arguments: list[str] | None = None) -> int:
    """Serve until it is ended; exit status 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m engine serve", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="a policy checkpoint directory")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    parser.add_argument(
        "--like", type=Path, help="run of import_recordings: frames are shaped as its were"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING)
    token = os.environ.get(TOKEN, "")
    try:
        if not is_loopback(options.host) and not token:
            raise ValueError(f"{options.host} is seen by others: set {TOKEN} first")
        limit_threads()
        policy = load_policy(options.checkpoint, default_placement(choose_device()))
        size = policy.config.dino.image_size
        actor = Actor(policy, size, plan_of(options.like) if options.like else None)
        seconds = actor.warm_up()
        server = make_server(actor, options.host, options.port, token=token)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    about = {"chunk": policy.chunk_size, "action_dim": policy.action_dim, "image_size": size}
    address = f"http://{options.host}:{server.server_port}/act"
    print(json.dumps({"address": address, "warm_seconds": round(seconds, 4), **about}), flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()
    return 0


def plan_of(run: Path) -> RecordingPlan:
    """How an import shaped its frames.

    Raises:
        ValueError: the directory holds no import.
    """
    path = run / "documents" / "report.json"
    try:
        return RecordingPlan.from_dict(json.loads(path.read_text())["plan"])
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{run.name} is no run of import_recordings: {error}") from error
