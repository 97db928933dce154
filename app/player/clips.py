"""Episodes as the screen wants them: records, whole clips, groups of siblings."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.player.media import EncodedOnce, KeptOnDisk, encode_clip, film
from app.player.records import Clip, episode_record
from app.player.series import chunk_size, human_steps, lines
from engine.config import Config, knob
from engine.records.types import Trajectory
from storage.cabinet import Cabinet
from storage.episodes.trajectories import EpisodeRow

WIDEST = 16_383  # pixels that a WebP picture can have in a row
WINDOW = 8  # frames around the verdict where no judge's window is known


@dataclass(frozen=True, kw_only=True)
class OneEpisode(Config):
    """An episode by its id."""

    episode: str = knob(help="its id")


class Clips:
    """Encodes clips once and remembers the last few.

    Args:
        guest: whose labels stand at a clip: those of visitors, or those of the house.
        run_name: what the run of an id is called.
    """

    def __init__(
        self, cabinet: Cabinet, *, guest: bool, run_name: Callable[[str], str] = str
    ) -> None:
        self._run_name = run_name
        self._cabinet = cabinet
        self._guest = guest
        self._frames = EncodedOnce(self._encode_frames, capacity=64)
        self._wholes = KeptOnDisk(self._encode_whole, cabinet.workspace.thumbnails)
        self._films = KeptOnDisk(self._encode_film, cabinet.workspace.thumbnails)

    def clip(self, question: OneEpisode) -> Clip:
        """Everything about an episode that a player needs.

        Raises:
            LookupError: no such episode.
            ValueError: its files cannot be read.
        """
        row = self._cabinet.trajectories.find(question.episode, guest=self._guest)
        trajectory = self._cabinet.trajectories.get(question.episode)
        ends, probabilities = _windows(trajectory)
        return {
            **episode_record(row),
            "frames": self._frames.get(row.id),
            "actions": trajectory.actions.round(4).tolist(),
            "chunk": chunk_size(trajectory),
            "human": human_steps(trajectory),
            "lines": lines(trajectory),
            "ends": ends,
            "probabilities": probabilities,
            "real_probabilities": trajectory.arrays.get("real_probabilities", np.zeros(0))
            .astype(np.float64)
            .round(4)
            .tolist(),
            "instruction": row.instruction,
            "run_name": row.run and self._run_name(row.run),
            "lineage": dict(row.lineage),
            "replay": dict(trajectory.replay),
            "decisive": list(decisive_frames(row, ends, probabilities)),
        }

    def films(self, rows: Sequence[EpisodeRow]) -> dict[str, str]:
        """The decisive frames of episodes side by side, by id; none for unreadable files."""
        films = {}
        for row in rows:
            with suppress(ValueError):
                films[row.id] = self._films.get(row.id)
        return films

    def whole(self, episode_id: str) -> dict[str, Any]:
        """All of an episode in one picture, and what the update after it did to each chunk.

        {film, frames, stride, chunk, end_step, log_ratio, clipped}: every `stride`-th frame side
        by side; the arrays are None where no update followed.

        Raises:
            LookupError: no such episode.
            ValueError: its files cannot be read.
        """
        trajectory = self._cabinet.trajectories.get(episode_id)
        arrays = trajectory.arrays
        return {
            "film": self._wholes.get(f"{episode_id}.whole"),
            "frames": len(trajectory.frames),
            "stride": _stride(trajectory),
            "chunk": chunk_size(trajectory),
            "end_step": trajectory.outcome.end_step,
            **{
                name: arrays[name].round(4).tolist() if name in arrays else None
                for name in ("log_ratio", "clipped")
            },
        }

    def _encode_frames(self, episode_id: str) -> list[str]:
        return encode_clip(self._cabinet.trajectories.get(episode_id).frames)

    def _encode_film(self, episode_id: str) -> bytes:
        row = self._cabinet.trajectories.find(episode_id)
        trajectory = self._cabinet.trajectories.get(episode_id)
        first, last = decisive_frames(row, *_windows(trajectory))
        return film(trajectory.frames[first : last + 1])

    def _encode_whole(self, name: str) -> bytes:
        trajectory = self._cabinet.trajectories.get(name.removesuffix(".whole"))
        return film(trajectory.frames[:: _stride(trajectory)])


def decisive_frames(
    row: EpisodeRow, ends: Sequence[int], probabilities: Sequence[float]
) -> tuple[int, int]:
    """First and last frame of what decides an episode.

    The window of its success, else the window that came closest, else the last frames.
    """
    if row.success:
        last = row.end_step
    elif ends:
        last = ends[int(np.argmax(probabilities))] - 1
    else:
        last = row.num_actions
    return max(0, last - WINDOW + 1), last


def _windows(trajectory: Trajectory) -> tuple[list[int], list[float]]:
    arrays = trajectory.arrays
    if "window_ends" not in arrays or "window_probabilities" not in arrays:
        return [], []
    probabilities = np.asarray(arrays["window_probabilities"], np.float64).round(4)
    return arrays["window_ends"].tolist(), probabilities.tolist()


def _stride(trajectory: Trajectory) -> int:
    return -(-len(trajectory.frames) * trajectory.frames.shape[2] // WIDEST)
