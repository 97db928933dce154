"""What fidelity measures of each episode, and how it is kept so that a killed run goes on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from engine.records.types import Trajectory
from engine.reward.classifier import VideoReward
from engine.statistics.metrics import psnr, ssim
from engine.statistics.perceptual import Backbone, lpips_distance

FILE = "scores.npz"
UNKNOWN = -1  # in place of a success: nobody has said how the episode ended
Array = npt.NDArray[Any]


@dataclass
class Scores:
    """Measurements of n episodes, of which the first `done` are filled in.

    Attributes:
        pixels: by "KIND/METRIC": float64 [n, t], NaN beyond an episode's end; column d - 1 is
            frame d.
        verdicts: by judged video: int64 [n, 2], (success, end step).
        features: by judged video: float32 [n, chunks, d] of the reward model, one window a whole
            chunk, NaN beyond the end.
    """

    done: int
    pixels: dict[str, Array]
    verdicts: dict[str, Array]
    features: dict[str, Array]

    @classmethod
    def empty(
        cls,
        episodes: int,
        depth: int,
        *,
        pixels: list[str],
        judged: list[str],
        chunks: int,
        width: int,
    ) -> "Scores":
        """Room for `episodes`, the longest of `depth` actions in `chunks` chunks."""
        return cls(
            done=0,
            pixels={name: np.full((episodes, depth), np.nan) for name in pixels},
            verdicts={name: np.zeros((episodes, 2), np.int64) for name in judged},
            features={
                name: np.full((episodes, chunks, width), np.nan, np.float32) for name in judged
            },
        )

    def save(self, directory: Path) -> None:
        """Write everything into a directory being filled."""
        arrays = {f"pixels:{name}": values for name, values in self.pixels.items()}
        arrays |= {f"verdicts:{name}": values for name, values in self.verdicts.items()}
        arrays |= {f"features:{name}": values for name, values in self.features.items()}
        with (directory / FILE).open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, done=np.array(self.done), **arrays)

    def restore(self, directory: Path) -> None:
        """Take over what `save` wrote; bit for bit."""
        with np.load(directory / FILE, allow_pickle=False) as archive:
            self.done = int(archive["done"])
            for name in archive.files:
                kind, _, key = name.partition(":")
                if key:
                    getattr(self, kind)[key] = archive[name]

    def compare(
        self, row: int, kind: str, clip: Array, real: Array, network: Backbone | None
    ) -> None:
        """Fill in how far a video, uint8 [t + 1, h, w, 3], is from the real one, by frame."""
        length = min(len(clip), len(real))
        frames, reference = clip[1:length], real[1:length]
        found = {"psnr": psnr(frames, reference), "ssim": ssim(frames, reference)}
        if network is not None:
            found["lpips"] = lpips_distance(frames, reference, network)
        for metric, values in found.items():
            self.pixels[f"{kind}/{metric}"][row, : length - 1] = values

    def describe(
        self, row: int, name: str, judge: VideoReward, clip: Array, chunk_size: int
    ) -> None:
        """Fill in the reward model's features of a video, of the windows that end with a chunk."""
        ends = np.arange(chunk_size, len(clip), chunk_size) + 1  # exclusive
        there = np.flatnonzero(ends >= judge.window)
        if len(there):
            features = judge.window_features(
                torch.from_numpy(clip)[None], torch.from_numpy(ends[there])
            )
            self.features[name][row, there] = features[0].numpy()


def real_verdicts(episodes: list[Trajectory]) -> Array:
    """(success, end step) of real episodes, int64 [n, 2]; `UNKNOWN` where nobody judged one."""
    said = [(int(e.outcome.success) if e.judged else UNKNOWN, e.outcome.end_step) for e in episodes]
    return np.array(said, dtype=np.int64).reshape(-1, 2)


def means(pixels: Mapping[str, Array]) -> dict[str, float]:
    """Mean over all frames of all episodes, by name, as `fidelity/mean_KIND_METRIC`."""
    return {
        f"fidelity/mean_{name.replace('/', '_')}": float(np.nanmean(values))
        for name, values in pixels.items()
    }
