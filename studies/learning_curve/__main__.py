"""`python -m studies.learning_curve --out RUN_DIR [--set name=value …]`; repeated, it goes on."""

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import Any

from engine.__main__ import ProgressBar
from engine.config import assign
from engine.records.durable import write_json_durably
from engine.runs.control import write_control
from engine.worker import BAD_INPUT, execute
from studies.learning_curve import study

NAME = "learning_curve"


def main(arguments: list[str] | None = None) -> int:
    """The exit status of a run in the foreground, as `python -m engine` gives it."""
    parser = argparse.ArgumentParser(prog=f"python -m studies.{NAME}", description=study.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the run directory")
    parser.add_argument("--set", action="append", default=[], metavar="name=value", dest="assign")
    options = parser.parse_args(arguments)
    try:
        _prepare(options.out, options.assign)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    bar = ProgressBar(NAME)
    try:
        status, metrics = execute(
            options.out,
            bar,
            job=lambda _, values, run: study.run(study.StudyConfig.from_dict(values), run),
            rest_on=(signal.SIGTERM, signal.SIGINT),
        )
    finally:
        bar.close()
    if bar.error:
        print(f"error: {bar.error}", file=sys.stderr)
    print(json.dumps({"job": NAME, "out": str(options.out), "metrics": metrics}))
    return status


def _prepare(out: Path, assignments: list[str]) -> None:
    values: dict[str, Any] = {}
    for assignment in assignments:
        assign(values, assignment)
    config = study.StudyConfig.from_dict(values)
    path = out / "config.json"
    if path.exists():
        stored = json.loads(path.read_text())["config"]
        if study.StudyConfig.from_dict(stored) != config:
            raise ValueError(f"{out} holds a run with another config; choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_json_durably(path, {"job": NAME, "config": config.to_dict()})
    write_control(out, "run")


if __name__ == "__main__":
    sys.exit(main())
