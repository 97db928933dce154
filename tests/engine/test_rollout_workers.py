"""The shipped models on two workers: a row is the same wherever it is imagined (design.md §5)."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.data.starts import load_starts
from engine.dream.imagine import group_starts, imagine
from engine.dream.rollout import Row
from engine.loading.models import load_judge, load_policy, load_world_model
from engine.records.tasks import get_task

pytestmark = [pytest.mark.soak, pytest.mark.timeout(180)]

DEMO = Path("storage/demo")
Told = dict[Row, dict[str, np.ndarray]]


def imagine_members(members: tuple[int, ...]) -> Told:
    """Two chunks of the shipped models from two starts, for some members of each group."""
    torch.set_num_threads(1)
    starts, task = load_starts(DEMO / "starts" / "coffee-push.npz"), get_task("coffee-push")
    frames, rows = group_starts(
        torch.from_numpy(starts.frames[:2]), [int(i) for i in starts.start_ids[:2]], 4
    )
    chosen = [index for index, (_, member) in enumerate(rows) if member in members]
    rollouts = imagine(
        load_world_model(DEMO / "checkpoints" / "coffee-push-world"),
        load_policy(DEMO / "checkpoints" / "coffee-push-base"),
        load_judge(DEMO / "checkpoints" / "coffee-push-judge"),
        frames[chosen],
        [task.instruction] * len(chosen),
        rows=[rows[index] for index in chosen],
        horizon=16,
        seed=7,
        temperature=1.0,
        denoising_steps=2,
        rules=task.judge,
    )
    names = ("frames", "tokens", "latents", "log_probs", "window_probabilities")
    return {
        (r.start_id, r.member): {name: getattr(r, name).numpy() for name in names} for r in rollouts
    }


def test_two_workers_imagine_what_one_process_imagines_bit_for_bit() -> None:
    together = imagine_members((0, 1, 2, 3))
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as workers:
        first, second = workers.map(imagine_members, [(0, 3), (1, 2)])
    apart = first | second
    assert apart.keys() == together.keys()
    differing = [
        (row, name)
        for row, arrays in together.items()
        for name, array in arrays.items()
        if not np.array_equal(array, apart[row][name])
    ]
    assert differing == []
