"""The job that adopts official checkpoints: progress, cancelling, nothing half done."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.loading.models import load
from engine.records.events import read_events
from engine.runs.control import write_control
from engine.runs.registry import job_config
from engine.runs.run_directory import RunDirectory
from tests.engine.released.official import write_release
from tests.engine.tiny import do, last_checkpoint


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_release(tmp_path_factory.mktemp("release"), "stack_three")


@pytest.mark.parametrize(
    "role",
    [
        "world_model",
        *(
            pytest.param(n, marks=pytest.mark.soak)
            for n in ("policy", "reward_model", "autoencoder")
        ),
    ],
)
def test_a_released_checkpoint_becomes_a_checkpoint_of_the_run(
    release: dict[str, Path], role: str, tmp_path: Path
) -> None:
    # A trial starts an interpreter with all of torch: one role's shows that it happens.
    metrics = do(
        "adopt",
        tmp_path / "run",
        role=role,
        source=str(release[role]),
        task="stack_three",
        trial_megabytes=1 if role == "reward_model" else 0,
    )
    checkpoint = Path(last_checkpoint(tmp_path / "run"))
    model: Any = load(checkpoint)
    assert metrics is not None and metrics["adopt/parameters"] > 60_000
    assert sum(1 for _ in model.parameters()) > 10
    told = [e for _, e in read_events(tmp_path / "run" / "events.jsonl") if e["kind"] == "progress"]
    assert told[-1]["done"] == told[-1]["total"]
    assert str(tmp_path) not in (checkpoint / "card.json").read_text()
    if role == "reward_model":
        assert model.success_threshold == 0.66


@pytest.mark.parametrize("control", ["cancel", "pause", "stop"])
def test_a_run_that_was_asked_to_end_leaves_nothing(
    release: dict[str, Path], control: str, tmp_path: Path
) -> None:
    RunDirectory(tmp_path / "run").close()
    write_control(tmp_path / "run", control)
    assert do("adopt", tmp_path / "run", source=str(release["policy"])) is None
    assert list((tmp_path / "run" / "checkpoints").iterdir()) == []


def test_bad_input_is_a_sentence(release: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="adopt needs source="):
        do("adopt", tmp_path / "run")
    with pytest.raises(ValueError, match="role must be one of policy"):
        job_config("adopt", {"role": "poet"})
    with pytest.raises(ValueError, match="task must be one of coffee"):
        job_config("adopt", {"task": "tea"})
    with pytest.raises(ValueError, match="no action statistics coffee_d0_300_demos"):
        do(
            "adopt",
            tmp_path / "run",
            source=str(release["policy"]),
            statistics_key="coffee_d0_300_demos",
        )


def test_hostile_weights_never_become_a_checkpoint(
    release: dict[str, Path], tmp_path: Path
) -> None:
    marker = tmp_path / "ran"

    class Payload:
        def __reduce__(self) -> tuple[object, ...]:
            return (os.system, (f"touch {marker}",))

    torch.save({"weight": Payload()}, tmp_path / "reward.pth")
    with pytest.raises(ValueError, match="unsafe-pickle"):
        do("adopt", tmp_path / "run", role="reward_model", source=str(tmp_path / "reward.pth"))
    weights = load_file(release["autoencoder"] / "diffusion_pytorch_model.safetensors")
    poisoned = tmp_path / "vae"
    shutil.copytree(release["autoencoder"], poisoned)
    next(iter(weights.values()))[...] = float("nan")
    save_file(weights, poisoned / "diffusion_pytorch_model.safetensors")
    with pytest.raises(ValueError, match="not finite"):
        do("adopt", tmp_path / "nan", role="autoencoder", source=str(poisoned))
    assert not marker.exists()
    for name in ("run", "nan"):
        assert not list((tmp_path / name / "checkpoints").glob("step-*"))
