"""The job that adopts official checkpoints: progress, cancelling, nothing half done."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from engine.events import read_events
from engine.jobs.registry import job_config
from engine.loading import load
from engine.run_directory import RunDirectory, write_control
from tests.engine.released.official import write_release
from tests.engine.tiny import do, last_checkpoint


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    places = write_release(tmp_path_factory.mktemp("release"), "stack_three")
    twin = places["reward_model"].with_suffix(".safetensors")
    save_file(torch.load(places["reward_model"]), twin)
    return places | {"reward_model": twin}


@pytest.mark.parametrize("role", ["policy", "world_model", "reward_model", "autoencoder"])
def test_a_released_checkpoint_becomes_a_checkpoint_of_the_run(
    release: dict[str, Path], role: str, tmp_path: Path
) -> None:
    metrics = do(
        "adopt", tmp_path / "run", role=role, source=str(release[role]), task="stack_three"
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
