"""Our chunk against the published network in its plainest form, at eight sizes.

Run with `pytest -m soak -s tests/benchmarks/test_official_shape.py`. 4 frames are given and 8 are
denoised. Both forms have the same tensors and inputs and alternate in one process; CPU time of one
thread is counted. Steps beyond the measured ones cost what those between 1 and 4 did. Nothing
asserts a time. What the plain form is and is not stands in `plain_transformer`.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from time import process_time

import pytest
import torch
from torch import Tensor

from engine.seeding import generator
from engine.world_model.flow import integrate, sample, sampling_timesteps
from engine.world_model.transformer import STDiT, TransformerConfig
from tests.benchmarks.plain_transformer import plain_forward

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]

CONTEXT, CHUNK, MOST = 4, 8, 30
SMALL, MIDDLE, LARGE = (128, 4), (256, 8), (512, 12)  # width, blocks of each kind


@dataclass(frozen=True)
class Point:
    """A size, latents of side² and so many channels, rows; `rounds` of each form."""

    size: tuple[int, int]
    side: int
    channels: int
    rows: int
    rounds: int = 3


POINTS = (
    Point(SMALL, 8, 8, 1, 7),
    Point(SMALL, 8, 8, 8, 5),
    Point(SMALL, 32, 4, 1, 5),
    Point(MIDDLE, 8, 8, 1, 5),
    Point(MIDDLE, 8, 8, 8),
    Point(MIDDLE, 32, 4, 1, 2),
    Point(LARGE, 8, 8, 1),
    Point(LARGE, 32, 4, 1, 1),
)


class Forms:
    """A chunk of latents by ours and by the plain form."""

    def __init__(self, point: Point) -> None:
        (width, depth), draws = point.size, generator(0, "official shape")
        config = TransformerConfig(
            hidden_size=width,
            depth=depth,
            num_heads=width // 32,
            in_channels=point.channels,
            action_dim=7,
        )
        self.model = STDiT(config).eval()
        for parameter in self.model.parameters():  # no layer left at zero
            parameter += 0.02 * torch.randn(parameter.shape, generator=draws)
        shape = (point.rows, point.channels, CONTEXT + CHUNK, point.side, point.side)
        latents = torch.randn(shape, generator=draws)
        self.context, self.noise = latents[:, :, :CONTEXT], latents[:, :, CONTEXT:]
        self.actions = torch.rand(point.rows, CHUNK, 7, generator=draws) * 2 - 1
        self.pixels = 8 * point.side

    def ours(self, steps: int) -> Tensor:
        """History once, then the new frames alone."""
        given = self.context, self.noise, self.actions
        return sample(self.model, *given, steps, self.pixels, self.pixels)

    def plain(self, steps: int) -> Tensor:
        """All frames at every step."""
        mask = (torch.arange(CONTEXT + CHUNK) >= CONTEXT).expand(len(self.noise), -1)

        side, frames = self.pixels, CONTEXT + CHUNK
        times = sampling_timesteps(steps, side, side, frames)

        def velocity(x: Tensor, step: int) -> Tensor:
            now = times[step].expand(len(x))
            whole = torch.cat([self.context, x], dim=2)
            moved = plain_forward(self.model, whole, now, self.actions, mask, side)
            return moved[:, :, CONTEXT:]

        return integrate(velocity, self.noise, times)


def taken(form: Callable[[int], Tensor], steps: int) -> tuple[float, Tensor]:
    begin = process_time()
    result = form(steps)
    return process_time() - begin, result


@torch.no_grad()
def test_report_eight_points() -> None:
    torch.set_num_threads(1)
    print("\nwidth, latents, rows | plain 4, ours 4, ratio | plain 30, ours 30, ratio | max error")
    for point in POINTS:
        forms = Forms(point)
        ways = {"plain": forms.plain, "ours": forms.ours}
        least = {(name, steps): float("inf") for name in ways for steps in (1, 4)}
        results: dict[str, Tensor] = {}
        for name, steps in list(least) * point.rounds:  # in turns
            seconds, results[name] = taken(ways[name], steps)
            least[name, steps] = min(least[name, steps], seconds)
        error = (forms.plain(4) - forms.ours(4)).abs().max().item()
        four = {name: least[name, 4] for name in ways}
        all_ = {n: four[n] + (MOST - 4) * (least[n, 4] - least[n, 1]) / 3 for n in ways}
        print(
            f"{point.size[0]}, {point.side}x{point.side}x{point.channels}, {point.rows} | "
            f"{four['plain']:.3f}, {four['ours']:.3f}, {four['plain'] / four['ours']:.2f} | "
            f"{all_['plain']:.2f}, {all_['ours']:.2f}, {all_['plain'] / all_['ours']:.2f} | "
            f"{error:.0e}",
            flush=True,
        )
        assert error <= 1e-5
    print(f"load of the machine {os.getloadavg()[0]:.1f}")
