"""The supervised loop: it learns, it resumes exactly, it refuses nonsense."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from engine.checkpoints import checkpoint
from engine.learning.training import FitConfig, fit, learning_rate_at
from engine.records.events import read_events
from engine.runs.control import write_control
from engine.runs.run_directory import RunDirectory
from engine.seeding import generator, initialisation

CONFIG = FitConfig(steps=12, learning_rate=0.05, warmup_steps=2, checkpoint_every=4, log_every=3)


def _model() -> nn.Module:
    with initialisation(0, "test"):
        return nn.Linear(3, 1)


def _train(directory: Path, config: FitConfig = CONFIG, stop_at: int | None = None) -> nn.Module:
    model = _model()
    run = RunDirectory(directory)

    def batch_loss(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        if step == stop_at:
            write_control(directory, "pause")
        x = torch.randn(8, 3, generator=generator(0, "batch", step))
        loss = (model(x) - x.sum(dim=1, keepdim=True)).square().mean()
        return loss, {"zero": torch.zeros(())}

    def save(target: Path) -> None:
        checkpoint.write_model(target, model, {"role": "test"}, {})

    try:
        fit(model, batch_loss, run, config, prefix="test", save=save)
    finally:
        run.close()
    return model


def _points(directory: Path) -> dict[int, float]:
    """The loss of each point; a point is a mean over steps, of which a pause may lie between."""
    events = [event for _, event in read_events(directory / "events.jsonl")]
    metrics = [event for event in events if event["kind"] == "metric"]
    return {event["step"]: event["metrics"]["test/loss"] for event in metrics}


def test_the_loss_falls(tmp_path: Path) -> None:
    x = torch.eye(3)
    untrained = (_model()(x) - 1.0).square().mean()
    config = CONFIG.replace(steps=100)
    trained = (_train(tmp_path / "run", config)(x) - 1.0).square().mean()
    assert trained < untrained / 10


def test_a_paused_and_resumed_fit_equals_one_never_stopped(tmp_path: Path) -> None:
    whole = _train(tmp_path / "whole")
    _train(tmp_path / "parts", stop_at=7)
    write_control(tmp_path / "parts", "run")
    resumed = _train(tmp_path / "parts")
    assert _points(tmp_path / "parts") == _points(tmp_path / "whole")
    for ours, theirs in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_loss_that_is_not_finite_stops_at_once(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match="the loss is"):
        _train(tmp_path / "run", CONFIG.replace(learning_rate=1e30, gradient_clip=1e30))


def test_the_learning_rate_rises_then_falls_to_its_share() -> None:
    config = FitConfig(steps=100, warmup_steps=10, learning_rate=1.0, final_rate=0.1)
    rates = [learning_rate_at(step, config) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[10] == 1.0
    assert rates[100] == pytest.approx(0.1)
