"""The measured pairs that come with the studio: `python -m studies.shipped_pairs RUN_DIR DEMO_DIR`.

A finished run of fidelity, whose models are those shipped, is packed small below `fidelity`: its
numbers and pairs as `TASK.json`, its videos as H.264 in `TASK.npz`. README says which command made
the run.
"""

import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from app.fidelity.pairs import Pair, pair_film
from app.fidelity.shipped import SAMPLE
from engine.data.episode_set import load_episodes
from engine.records.types import Trajectory
from engine.runs.run_directory import RunDirectory
from storage.exports.pictures import mp4

DREAM, REAL = "dream", "real"
COMPRESSION = "18"  # of x264: 37 dB on these videos, a sixteenth of their size
logger = logging.getLogger(__name__)


def pack(run_directory: Path, demo: Path) -> dict[str, int]:
    """Write what a finished run measured into a demo folder; {pairs, bytes}."""
    run = RunDirectory(run_directory)
    result = run.finished_result()
    config = json.loads((run_directory / "config.json").read_text())["config"]
    run.close()
    if result is None:
        raise ValueError(f"{run_directory} has not come to its end")
    episodes = {episode.id: episode for episode in load_episodes([str(run_directory)])}
    dreams = [e for e in episodes.values() if e.lineage.get("source") == "fidelity"]
    pairs: list[dict[str, Any]] = []
    arrays: dict[str, Any] = {}
    sample = f"{SAMPLE}-{config['task']}"
    for number, dream in enumerate(sorted(dreams, key=lambda dream: dream.id)):
        real = episodes[dream.lineage["real"]]
        pair, videos = _pair(sample, number, dream, real)
        pairs.append(asdict(pair))
        arrays |= videos
    curves = _rounded(result.pop("curves"))
    document = {
        "models": {
            role: f"demo/{Path(config[role]).name}"
            for role in ("world_model", "reward_model", "policy")
        },
        "settings": {
            name: config[name]
            for name in ("task", "pool", "first_start", "temperature", "denoising_steps")
        },
        "threshold": dreams[0].lineage["threshold"],
        "metrics": {k: round(v, 5) for k, v in result.items() if isinstance(v, (int, float))},
        "curves": curves,
        "notes": result.get("notes", []),
        "pairs": pairs,
    }
    numbers, films = (demo / "fidelity" / f"{config['task']}.{kind}" for kind in ("json", "npz"))
    numbers.parent.mkdir(exist_ok=True)
    numbers.write_text(json.dumps(document, separators=(",", ":")) + "\n")
    with films.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)
    return {"pairs": len(pairs), "bytes": numbers.stat().st_size + films.stat().st_size}


def _pair(
    sample: str, number: int, dream: Trajectory, real: Trajectory
) -> tuple[Pair, dict[str, npt.NDArray[Any]]]:
    names = {kind: f"{kind}-{number:03d}" for kind in (DREAM, REAL)}
    pair = Pair(
        imagined=f"{sample}/{names[DREAM]}",
        real=f"{sample}/{names[REAL]}",
        start_id=dream.start_id,
        length=len(dream.actions),
        success=dream.outcome.success,
        end_step=dream.outcome.end_step,
        real_success=real.outcome.success,
        real_end_step=real.outcome.end_step,
        psnr=dream.lineage["psnr"],
        onset=dream.lineage["onset"],
    )
    own = {
        "ends": dream.arrays["window_ends"].astype(np.int16),
        "probabilities": dream.arrays["window_probabilities"].astype(np.float16),
        "real_probabilities": dream.arrays["real_probabilities"].astype(np.float16),
        "actions": dream.actions.astype(np.float16),
    }
    arrays = {f"{names[DREAM]}/{name}": values for name, values in own.items()}
    for kind, episode in ((DREAM, dream), (REAL, real)):
        video = mp4(episode.frames, colours="yuv444p", quality=COMPRESSION)
        arrays[f"{names[kind]}/video"] = np.frombuffer(video, np.uint8)
    film = pair_film(dream.frames, real.frames, pair)
    arrays[f"{names[DREAM]}/film"] = np.frombuffer(film, np.uint8)
    return pair, arrays


def _rounded(values: Any) -> Any:
    """Numbers of a document in four figures, which is more than their intervals say."""
    if isinstance(values, Mapping):
        return {name: _rounded(value) for name, value in values.items()}
    if isinstance(values, list):
        return [_rounded(value) for value in values]
    return float(f"{values:.4g}") if isinstance(values, float) else values


def main() -> None:
    """Pack the run of the first argument into the folder of the second."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    packed = pack(Path(sys.argv[1]), Path(sys.argv[2]))
    logger.info("%(pairs)d pairs in %(bytes)d bytes", packed)


if __name__ == "__main__":
    main()
