"""`fit`: the one supervised loop, for autoencoder, world model, policy and reward model."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import torch
from torch import Tensor, nn

from engine.checkpoints import checkpoint
from engine.config import Config, knob
from engine.device import autocast
from engine.learning.spreading import ready_to_act
from engine.protocols import Run
from engine.ranks import agreed, leads, norm_clipped, sum_gradients, summed

BatchLoss = Callable[[int], tuple[Tensor, dict[str, Tensor]]]


@dataclass(frozen=True, kw_only=True)
class FitConfig(Config):
    """How a module is fitted: AdamW, warm-up, linear decay, an average of the weights."""

    steps: int = knob(1000, "Optimizer updates", low=1)
    learning_rate: float = knob(1e-3, "Peak learning rate", low=0.0)
    final_rate: float = knob(0.05, "Share of the learning rate left at the end", low=0.0, high=1.0)
    decay_steps: int = knob(0, "Updates after which that is reached; 0: the last one", low=0)
    warmup_steps: int = knob(50, "Updates until the learning rate is at its peak", low=0)
    weight_decay: float = knob(0.0, "Decoupled weight decay", low=0.0)
    gradient_clip: float = knob(1.0, "Largest gradient norm", low=0.0)
    average_decay: float = knob(0.99, "Decay of the average of the weights", low=0.0, high=1.0)
    log_every: int = knob(20, "Updates between two points of a curve", low=1)
    checkpoint_every: int = knob(250, "Updates between two checkpoints", low=1)


def learning_rate_at(step: int, config: FitConfig) -> float:
    """Linear warm-up to the peak, then linear decay to `final_rate` of it at `decay_steps`."""
    end = config.decay_steps or config.steps
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    share = (step - config.warmup_steps) / max(1, end - config.warmup_steps)
    return config.learning_rate * (1.0 - (1.0 - config.final_rate) * share)


def fit(
    model: nn.Module,
    batch_loss: BatchLoss,
    run: Run,
    config: FitConfig,
    *,
    prefix: str,
    save: Callable[[Path], None],
) -> bool:
    """Train `model`; its averaged weights are in place when `save` is called and at the end.

    `batch_loss(step)` must depend on nothing but the step and the model, so that a resumed run
    equals one never stopped. Every checkpoint holds what `save` writes (a loadable model) and the
    training state. Where processes learn together, losses and metrics are those of the rows that
    each was dealt (`engine.ranks.deal`), and add up to the batch's.

    Returns:
        Whether the training reached its last step, and this process is the one to go on.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=config.learning_rate, weight_decay=config.weight_decay, eps=1e-8
    )
    average = {n: tensor.detach().clone() for n, tensor in checkpoint.learnt_state(model).items()}
    begin = 0
    recent: list[dict[str, float]] = []
    latest = run.latest_checkpoint()
    if latest is not None:
        progress = checkpoint.read_state(latest, model, optimizer, average=average)
        begin, recent = int(progress["step"]), progress.get("recent", [])

    def save_checkpoint(step: int) -> None:
        with run.checkpoint(step) as directory:
            # With the steps since the last point, so that the next point is their mean as well.
            progress = {"step": step, "recent": recent}
            checkpoint.write_state(directory, model, optimizer, average=average, progress=progress)
            trained = {n: tensor.clone() for n, tensor in checkpoint.learnt_state(model).items()}
            checkpoint.load_learnt(model, average)
            save(directory)
            checkpoint.load_learnt(model, trained)

    def placed_loss(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        with autocast(run.placement.where, run.placement.mixed):
            return batch_loss(step)

    model.train()
    clock, timed = monotonic(), begin
    run.phase("training")
    run.progress(begin, config.steps)
    for step in range(begin, config.steps):
        if agreed(run.stop_requested or run.pause_requested):
            save_checkpoint(step)
            return False
        run.give_way()
        metrics = _update(model, parameters, optimizer, placed_loss, step, config)
        _update_average(average, model, min(config.average_decay, (step + 1) / (step + 10)))
        recent.append(metrics)
        if (step + 1) % config.log_every == 0 or step + 1 == config.steps:
            means = {f"{prefix}/{k}": sum(m[k] for m in recent) / len(recent) for k in metrics}
            seconds = (monotonic() - clock) / (step + 1 - timed)
            run.log(step + 1, means | {"time/step_seconds": seconds})
            run.progress(step + 1, config.steps)
            recent, clock, timed = [], monotonic(), step + 1
        if (step + 1) % config.checkpoint_every == 0 and step + 1 < config.steps:
            save_checkpoint(step + 1)
    if begin < config.steps:
        save_checkpoint(config.steps)
    checkpoint.load_learnt(model, average)
    ready_to_act(model)
    model.eval()
    return leads()


def refine(model: nn.Module, batch_loss: BatchLoss, config: FitConfig) -> None:
    """`fit` for trainings of seconds inside a job: nothing is logged, saved or resumed."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=config.learning_rate, weight_decay=config.weight_decay, eps=1e-8
    )
    average = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    model.train()
    for step in range(config.steps):
        _update(model, parameters, optimizer, batch_loss, step, config)
        _update_average(average, model, min(config.average_decay, (step + 1) / (step + 10)))
    model.load_state_dict(average)
    model.eval()


def _update(
    model: nn.Module,
    parameters: list[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    batch_loss: BatchLoss,
    step: int,
    config: FitConfig,
) -> dict[str, float]:
    rate = learning_rate_at(step, config)
    for group in optimizer.param_groups:
        group["lr"] = rate
    loss, metrics = batch_loss(step)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    sum_gradients(parameters)
    norm = norm_clipped(parameters, config.gradient_clip)
    values = metrics | {"loss": loss.detach()}
    shares = summed(torch.stack([value.double() for value in values.values()]))
    # One wait for the device a step, and before anything is changed.
    read = torch.cat([shares, norm.double().reshape(1).to(shares.device)]).cpu().tolist()
    numbers = dict(zip([*values, "gradient_norm"], read, strict=True))
    if not math.isfinite(numbers["loss"]):
        raise FloatingPointError(f"the loss is {numbers['loss']} at step {step}")
    optimizer.step()
    return numbers | {"learning_rate": rate}


@torch.no_grad()
def _update_average(average: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    for name, tensor in checkpoint.learnt_state(model).items():
        if tensor.is_floating_point():
            average[name].lerp_(tensor, 1.0 - decay)
        else:
            average[name].copy_(tensor)
