"""Choose among finished runs by what they measured on held-out data, and keep the best's weights.

For sweeps (the beta of DPO): never by success on test starts.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.config import Config, knob
from engine.protocols import Run
from engine.records.manifest import MANIFEST
from engine.runs.stages import finished_result, last_checkpoint

TRAINING_STATE = (MANIFEST, "state.safetensors", "progress.json")


@dataclass(frozen=True, kw_only=True)
class JobConfig(Config):
    """Among which runs, and by what."""

    candidates: tuple[str, ...] = knob((), "Run directories to choose among")
    highest: str = knob("", "Result that is to be high, such as prefer/held_out_accuracy")
    lowest: str = knob("", "Result that is to be low; decides between equals of the other")


def run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    """Copy the best run's last checkpoint, without its training state."""
    if not config.candidates or not (config.highest or config.lowest):
        raise ValueError("choose needs candidates, and highest or lowest: the result that decides")
    results = [_result(Path(candidate), config) for candidate in config.candidates]
    scores = [
        (result.get(config.highest, 0.0), -result.get(config.lowest, 0.0)) for result in results
    ]
    best = max(range(len(scores)), key=lambda index: scores[index])
    source = last_checkpoint(Path(config.candidates[best]))
    with run.checkpoint(0) as directory:
        for path in source.iterdir():
            if path.name not in TRAINING_STATE:
                shutil.copy(path, directory / path.name)
    metrics = {f"choose/{i}/{name}": r[name] for i, r in enumerate(results) for name in _by(config)}
    run.log(0, metrics)
    chosen = Path(config.candidates[best])
    options = json.loads((chosen / "config.json").read_text())["config"]
    return metrics | {"choose/best": best, "choose/run": chosen.name, "choose/config": options}


def _by(config: JobConfig) -> list[str]:
    return [name for name in (config.highest, config.lowest) if name]


def _result(directory: Path, config: JobConfig) -> dict[str, Any]:
    result = finished_result(directory)
    if result is None:
        raise ValueError(f"{directory.name} is not finished: there is nothing to choose by")
    absent = [name for name in _by(config) if name not in result]
    if absent:
        raise ValueError(f"{directory.name} did not measure {absent[0]}")
    return result
