"""Run a job in the foreground: `python -m engine JOB --out RUN_DIR [--set name=value …]`."""

import argparse
import json
import signal
import subprocess
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from tqdm import tqdm

from engine.config import assign
from engine.device import Placement
from engine.records.durable import write_json_durably
from engine.runs.control import write_control
from engine.runs.registry import job_config, job_names
from engine.runs.retention import Retention
from engine.runs.stages import is_same
from engine.worker import BAD_INPUT, FAILED, NO_ROOM, PAUSED, execute

# Words that are no jobs: what answers over HTTP until it is ended.
SERVED = {"serve": "engine.serving.policy", "serve_world_model": "engine.serving.world_model"}
IMPORT = "import"  # short for the job: import DATASET --out RUN_DIR [--set …]
HUB, FETCH = "hf://", "storage.hub_dataset"  # a program of its own: the engine opens no connection
AT_REST = {PAUSED: "paused", NO_ROOM: "the disk is full"}


class ProgressBar:
    """Shows a run's progress events, with the time left, on stderr."""

    def __init__(self, job: str) -> None:
        self._bar = tqdm(desc=job, file=sys.stderr, dynamic_ncols=True, miniters=1)
        self.error = ""

    def __call__(self, event: dict[str, Any]) -> None:
        """Take one event of the run."""
        if event["kind"] == "progress":
            if self._bar.total is None:
                self._bar.initial = event["done"] if event["done"] > 1 else 0
            self._bar.total = event["total"]
            self._bar.update(event["done"] - self._bar.n)
        elif event["kind"] == "metric":
            shown = {name: f"{value:.4g}" for name, value in list(event["metrics"].items())[:5]}
            self._bar.set_postfix(shown, refresh=False)
        elif event["kind"] == "phase":
            self._bar.write(event["phase"], file=sys.stderr)
        elif event["kind"] == "state" and event["state"] == "failed":
            self.error = event["error"]

    def close(self) -> None:
        """Leave the last state of the bar on screen."""
        self._bar.close()


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 done, 1 failed, 2 bad input, 75 paused."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in SERVED:
        served: int = import_module(SERVED[arguments[0]]).main(arguments[1:])
        return served
    if arguments[:1] == [IMPORT] and len(arguments) > 1:
        try:
            arguments = ["import_recordings", *arguments[2:], *_dataset(arguments[1])]
        except ValueError:
            return BAD_INPUT
    parser = argparse.ArgumentParser(prog="python -m engine", description=__doc__)
    parser.add_argument("job", choices=job_names())
    parser.add_argument("--out", type=Path, required=True, help="the run directory")
    parser.add_argument("--config", type=Path, help="a JSON file of the job's options")
    parser.add_argument("--set", action="append", default=[], metavar="name=value", dest="assign")
    parser.add_argument(
        "--keep", action="append", default=[], metavar="name=value", help="last, best, lowest: "
        "checkpoints that are kept, the newest and the best by a metric",
    )  # fmt: skip
    parser.add_argument(
        "--place", action="append", default=[], metavar="name=value", help="device, dtype, "
        "offload, compiled, decode_batch; without it the machine's usual placement",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        retention = Retention.from_dict(_assign_all({}, options.keep)).to_dict()
        more = {"retention": retention}
        if options.place:
            more["placement"] = asdict(Placement.from_dict(_assign_all({}, options.place)))
        _prepare(options.job, options.out, options.config, options.assign, more)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    bar = ProgressBar(options.job)
    try:
        rest_on = (signal.SIGTERM, signal.SIGINT)
        status, metrics = execute(options.out, bar, rest_on=rest_on)
    except BlockingIOError:
        print(f"error: {options.out} is in use by another process", file=sys.stderr)
        return BAD_INPUT
    finally:
        bar.close()
    if bar.error:
        print(f"error: {bar.error}", file=sys.stderr)
        return status if status in (FAILED, BAD_INPUT) else FAILED
    if status in AT_REST:
        print(f"{AT_REST[status]}: the same command goes on from there", file=sys.stderr)
    print(json.dumps({"job": options.job, "out": str(options.out), "metrics": metrics}))
    return status


def _prepare(
    job: str,
    out: Path,
    config_file: Path | None,
    assignments: list[str],
    more: dict[str, dict[str, Any]],
) -> None:
    values: dict[str, Any] = json.loads(config_file.read_text()) if config_file else {}
    config = job_config(job, _assign_all(values, assignments)).to_dict()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "config.json"
    if path.exists() and not is_same(out, job, config):
        raise ValueError(f"{out} holds a run with another config; choose another --out")
    write_json_durably(path, {"job": job, "config": config, **more})
    write_control(out, "run")


def _dataset(name: str) -> list[str]:
    """The settings of a dataset by its path, or by its name on the Hub.

    Raises:
        ValueError: it could not be fetched; whoever tried has said why.
    """
    found = {"dataset": name}
    if name.startswith(HUB):
        told = subprocess.run([sys.executable, "-m", FETCH, name], stdout=subprocess.PIPE)
        if told.returncode:
            raise ValueError(f"{name} was not fetched")
        about = json.loads(told.stdout)
        found = {"dataset": about["folder"], "dataset_name": about["name"],
                 "revision": about["revision"]}  # fmt: skip
    # Quoted: a name may look like a number.
    return [word for key, text in found.items() for word in ("--set", f"{key}={json.dumps(text)}")]


def _assign_all(values: dict[str, Any], assignments: list[str]) -> dict[str, Any]:
    for assignment in assignments:
        assign(values, assignment)
    return values


if __name__ == "__main__":
    sys.exit(main())
