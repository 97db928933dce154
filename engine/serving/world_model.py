"""Serve a world model over HTTP: `python -m engine serve_world_model CHECKPOINT`."""

import argparse
import secrets
from pathlib import Path
from typing import Any

import uvicorn

from engine.checkpoints.checkpoint import read_config_of, read_json
from engine.device import choose_device, default_placement, limit_threads
from engine.loading.models import load_world_model
from engine.records.manifest import checkpoint_hash
from engine.records.types import Normalization
from engine.serving.loopback import is_loopback
from engine.serving.server import serve_world_model


def about_checkpoint(directory: Path) -> dict[str, Any]:
    """What a server says of the checkpoint it serves."""
    card = read_json(directory / "card.json") if (directory / "card.json").is_file() else {}
    statistics = Normalization.of(directory)
    tasks = [*card.get("tasks", {})]
    return {
        "image_size": read_config_of(directory, "world_model")["image_size"],
        "hash": checkpoint_hash(directory),
        "name": card.get("name") or directory.name,
        "task": tasks[0] if len(tasks) == 1 else None,
        "starts": card.get("starts"),
        "privileged": card.get("privileged"),
        "normalization": None if statistics is None else statistics.to_dict(),
    }


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted; with a token on other addresses than loopback."""
    parser = argparse.ArgumentParser(prog="python -m engine serve_world_model", description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=7900)
    parser.add_argument("--token", default="", help="made up on other addresses than loopback")
    options = parser.parse_args(arguments)
    limit_threads()
    try:
        model = load_world_model(options.checkpoint, default_placement(choose_device()))
    except (ValueError, OSError) as error:
        parser.exit(2, f"error: {error}\n")
    token = options.token or ("" if is_loopback(options.host) else secrets.token_urlsafe(24))
    address = f"http://{options.host}:{options.port}"
    print(f"The world model {options.checkpoint.name} answers at {address}", flush=True)
    if token:
        print(f"Its token: {token}", flush=True)
    app = serve_world_model(model, about=about_checkpoint(options.checkpoint), token=token)
    uvicorn.run(app, host=options.host, port=options.port, log_level="warning")
    return 0
