"""The measured pairs that are shipped: packed small, and read back by the Fidelity page."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.fidelity.shipped import Shipped
from engine.records.manifest import checkpoint_hash
from engine.records.types import Outcome, Trajectory
from engine.runs.run_directory import RunDirectory
from engine.statistics.metrics import psnr
from storage.exports.pictures import mp4, read_mp4
from studies.shipped_pairs import pack

DEMO = Path(__file__).parents[2] / "storage" / "demo"
LARGEST = 5_000_000


def test_a_run_is_packed_and_its_pairs_are_read_back(
    tmp_path: Path, make_trajectory: Callable[..., Trajectory]
) -> None:
    run = RunDirectory(tmp_path / "fid")
    models = {role: f"/elsewhere/{role}" for role in ("world_model", "reward_model", "policy")}
    settings = {"task": "coffee-push", "pool": "calibration", "first_start": 0}
    config = models | settings | {"temperature": 0.0, "denoising_steps": 4}
    (run.directory / "config.json").write_text(json.dumps({"job": "fidelity", "config": config}))
    real = make_trajectory(
        "real-0", imagined=False, outcome=Outcome(False, 16), lineage={"use": "calibration"}
    )
    lineage = {
        "source": "fidelity",
        "real": "real-0",
        "real_run": "fid",
        "real_success": False,
        "real_end_step": 16,
        "threshold": 0.5,
        "psnr": [20.0] * 16,
        "onset": 9,
    }
    ends = np.arange(8, 18)
    arrays = {
        "window_ends": ends,
        "window_probabilities": np.linspace(0, 1, len(ends), dtype=np.float32),
        "real_probabilities": np.zeros(len(ends), np.float32),
    }
    dream = make_trajectory("pair-0", outcome=Outcome(True, 12), lineage=lineage, arrays=arrays)
    run.record(real)
    run.record(dream)
    run.result({"fidelity/mean_imagined_psnr": 20.04321, "curves": {"chunk_size": 8}, "notes": []})
    run.close()
    assert pack(run.directory, tmp_path)["pairs"] == 1

    [shipped] = Shipped(tmp_path / "fidelity").all()
    [pair] = shipped.pairs()
    assert (pair.cell(), pair.onset, pair.end_step) == ("false_success", 9, 12)
    assert pair.imagined == "sample-coffee-push/dream-000"
    clip = shipped.clip(pair.imagined)
    assert clip["probabilities"][-1] == 1.0 and clip["real_probabilities"] == [0.0] * 10
    assert (clip["success"], clip["end_step"], clip["chunk"]) == (True, 12, 8)
    assert len(clip["frames"]) == len(dream.frames)
    other = shipped.clip(str(pair.real))
    assert (other["success"], other["probabilities"]) == (False, [])
    assert shipped.film(pair)[8:12] == b"WEBP"


@pytest.mark.parametrize("task", ["coffee-push", "plate-slide"])
def test_what_is_shipped_is_small_and_its_films_say_what_its_numbers_say(task: str) -> None:
    sizes = [(DEMO / "fidelity" / f"{task}.{kind}").stat().st_size for kind in ("json", "npz")]
    assert sum(sizes) < LARGEST
    shipped = Shipped(DEMO / "fidelity").find(f"sample-{task}")
    assert shipped is not None
    pairs, results = shipped.pairs(), shipped.results()
    cells = [pair.cell() for pair in pairs]
    for cell in ("true_success", "false_success", "false_failure", "true_failure"):
        assert cells.count(cell) == results["metrics"][f"fidelity/{cell}"]
    hit = next(pair for pair in pairs if pair.success)
    dream, real = (shipped.clip(str(name)) for name in (hit.imagined, hit.real))
    assert len(dream["frames"]) == len(real["frames"]) == hit.length + 1
    assert (
        dream["probabilities"][dream["ends"].index(hit.end_step + 1)] >= dream["threshold"] - 1e-3
    )
    rooms = {role: DEMO / "checkpoints" / name.removeprefix("demo/")
             for role, name in results["models"].items()}  # fmt: skip
    gates = json.loads((DEMO / "gates" / f"{task}.json").read_text())
    assert gates["checkpoints"] == {
        role: checkpoint_hash(rooms[role]) for role in ("world_model", "reward_model")
    }


def test_a_packed_video_is_near_the_one_that_was_measured() -> None:
    random = np.random.default_rng(0)
    blocks = random.integers(0, 255, (9, 8, 8, 3), np.uint8)
    frames = blocks.repeat(8, axis=1).repeat(8, axis=2)
    again = read_mp4(mp4(frames, colours="yuv444p", quality="18"))
    assert again.shape == frames.shape
    assert psnr(again, frames).min() > 33.0
