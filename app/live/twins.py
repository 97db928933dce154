"""Twins: a dream's own actions played in reality, and what became of both."""

import hashlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.access import Access
from app.live.dreams import Dreams
from app.live.pairs import CELLS, dreams_of, real_ids
from app.live.simulator import Simulator
from engine.config import Config, knob
from engine.records.ledger import append_ledger, ledger_entry
from engine.records.tasks import get_task
from engine.records.types import Outcome, Trajectory
from engine.statistics.intervals import Confusion, wilson_interval
from engine.statistics.metrics import (
    divergence_onset,
    psnr,
    repeat_first,
    ssim,
    verdict_onset,
)
from storage.cabinet import Cabinet

BINS = 10
PLAYED = "episodes played in the simulator"


@dataclass(frozen=True, kw_only=True)
class TwinOf(Config):
    """A stored imagined episode."""

    episode_id: str = knob(help="its id")


@dataclass(frozen=True, kw_only=True)
class MatrixOf(Config):
    """A run of fidelity."""

    run: str = knob(help="its id")


class Twins:
    """Plays imagined episodes in the simulator; every real one enters the studio's ledger once."""

    def __init__(
        self, cabinet: Cabinet, dreams: Dreams, simulator: Simulator, *, access: Access
    ) -> None:
        self._cabinet = cabinet
        self._dreams = dreams
        self._simulator, self._access = simulator, access
        self._playing = threading.Lock()

    @property
    def free(self) -> bool:
        """Whether who asks may have any number of twins: only then one is played unasked."""
        return not self._simulator.missing and not self._access.limited(PLAYED)

    def of(self, dream: Trajectory) -> dict[str, Any]:
        """An imagined episode beside its real twin, which is stored as an episode.

        Raises:
            ValueError: the simulator does not know its start, or cannot render here.
        """
        task, start_id, first = self._beginning(dream)
        with self._playing:
            real = self._real(dream, task, start_id, first)
        frames = real.frames[len(first) :]
        quality, standing = psnr(dream.frames, frames), psnr(repeat_first(frames), frames)
        judged = self._judge(dream, frames)
        return {
            "twin": real.id,
            "first_frame": len(first),
            "psnr": quality.round(2).tolist(),
            "baseline_psnr": standing.round(2).tolist(),
            "ssim": ssim(dream.frames, frames).round(4).tolist(),
            "onset": _seen_apart(dream, judged) or divergence_onset(quality, standing),
            "same_start": bool((dream.frames[0] == frames[0]).all()),
            "imagined": _verdict(dream.outcome),
            "real": _verdict(_from_frame(real.outcome, len(first))),
            "judged_real": judged,
        }

    def of_episode(self, question: TwinOf) -> dict[str, Any]:
        """What `of` gives for a stored imagined episode."""
        return self.of(self._cabinet.trajectories.get(question.episode_id))

    def matrix(self, question: MatrixOf) -> dict[str, Any]:
        """{cells, agreement, calibration…}: real against imagined success of a run's pairs.

        Raises:
            ValueError: the run stored no pairs.
        """
        run = question.run
        pairs = dreams_of(self._cabinet.trajectories, run, ["fidelity"])
        if not pairs:
            raise ValueError(
                f"{run} has no pairs of real and imagined episodes: run fidelity first"
            )
        rows = [row for row in pairs if row.lineage["real_success"] is not None]
        if not rows:
            raise ValueError(f"nobody has said how the real episodes of {run} ended: label them")
        real = real_ids(self._cabinet.trajectories, rows)
        cells: dict[str, list[dict[str, Any]]] = {name: [] for name in CELLS.values()}
        for row in rows:
            truth = bool(row.lineage["real_success"])
            pair = {"imagined": row.id, "real": real[row.id], "probability": row.probability}
            cells[CELLS[truth, row.success]].append(pair)
        predicted = np.array([row.success for row in rows])
        actual = np.array([bool(row.lineage["real_success"]) for row in rows])
        found = Confusion.count(predicted, actual)
        both = bool(found.positives and found.negatives)
        return {
            "run": run,
            "pairs": len(rows),
            "threshold": rows[0].threshold,
            "cells": cells,
            "agreement": float((predicted == actual).mean()),
            "agreement_interval": wilson_interval(int((predicted == actual).sum()), len(rows)),
            "balanced_accuracy": found.balanced_accuracy if both else None,
            "balanced_accuracy_interval": found.balanced_accuracy_interval() if both else None,
            "calibration": _calibration([row.probability or 0.0 for row in rows], actual),
        }

    def _beginning(self, dream: Trajectory) -> tuple[str, int, np.ndarray]:
        """(task, start id, raw actions [n, a] that lead from there to the dream's first frame)."""
        if not dream.imagined:
            raise ValueError(f"{dream.id} is a real episode itself")
        if self._simulator.missing:
            raise ValueError(self._simulator.missing)
        none = dream.actions[:0]
        if dream.start_id >= 0:
            return dream.task, dream.start_id, none
        origin = dream.replay.get("origin")
        if origin is not None:
            episode = self._cabinet.trajectories.get(origin["episode"])
            if not episode.imagined and episode.start_id >= 0:
                return episode.task, episode.start_id, episode.actions[: origin["frame"]]
        raise ValueError(
            "this dream starts from a picture, not from a state of the simulator: it has no twin"
        )

    def _real(self, dream: Trajectory, task: str, start_id: int, first: np.ndarray) -> Trajectory:
        actions = np.concatenate([first, dream.actions])
        digest = hashlib.sha256(f"{task}/{start_id}/".encode() + actions.tobytes()).hexdigest()
        episode_id = f"twin-{digest[:12]}-{len(actions)}"
        if self._cabinet.trajectories.find_all([episode_id]):
            return self._cabinet.trajectories.get(episode_id)
        self._access.spend(PLAYED)
        frames, end_step = self._simulator.play(get_task(task), start_id, actions)
        policy = dream.lineage.get("policy")
        success = end_step is not None
        real = Trajectory(
            id=episode_id,
            task=task,
            start_id=start_id,
            instruction=dream.instruction,
            imagined=False,
            outcome=Outcome(success, len(actions) if end_step is None else end_step),
            frames=frames,
            actions=actions,
            lineage={
                "source": "twin",
                "use": "twin",
                "twin_of": dream.id,
                "policy": policy,
                "created": time.time(),
            },
        )
        directory = self._cabinet.workspace.twins
        directory.mkdir(exist_ok=True)
        self._cabinet.trajectories.add(real)
        entry = ledger_entry(
            directory,
            task=task,
            start_id=start_id,
            use="twin",
            policy=policy,
            success=success,
            episode=episode_id,
        )
        append_ledger(directory, entry)
        return real

    def _judge(self, dream: Trajectory, frames: np.ndarray) -> dict[str, Any] | None:
        """What the dream's own reward model says of the real frames; None where it is not here."""
        try:
            model = self._cabinet.checkpoints.by_hash(str(dream.lineage.get("reward_model")))
        except LookupError:
            return None
        ends, probabilities, found = self._dreams.judge(model, frames, get_task(dream.task).judge)
        rounded = [round(value, 4) for value in probabilities]
        return _verdict(found) | {"ends": ends, "probabilities": rounded}


def _seen_apart(dream: Trajectory, judged: dict[str, Any] | None) -> int | None:
    """The frame from which the dream's own reward model sees it and its twin apart."""
    if judged is None or "window_probabilities" not in dream.arrays:
        return None
    found = verdict_onset(dream.arrays["window_probabilities"], np.array(judged["probabilities"]))
    return None if found is None else int(dream.arrays["window_ends"][found]) - 1


def _from_frame(outcome: Outcome, first: int) -> Outcome:
    """An outcome whose steps are counted from a later frame."""
    return Outcome(outcome.success, max(0, outcome.end_step - first))


def _verdict(outcome: Outcome) -> dict[str, Any]:
    return {"success": outcome.success, "end_step": outcome.end_step}


def _calibration(probabilities: Sequence[float], actual: np.ndarray) -> list[dict[str, Any]]:
    """Share of real successes among imagined episodes of like probability, with its interval."""
    values = np.array(probabilities)
    places = np.minimum((values * BINS).astype(int), BINS - 1)
    bins = []
    for place in range(BINS):
        chosen = places == place
        count, successes = int(chosen.sum()), int(actual[chosen].sum())
        bins.append(
            {
                "low": place / BINS,
                "high": (place + 1) / BINS,
                "count": count,
                "real_successes": successes,
                "mean_probability": float(values[chosen].mean()) if count else None,
                "real_rate": successes / count if count else None,
                "interval": wilson_interval(successes, count) if count else None,
            }
        )
    return bins
