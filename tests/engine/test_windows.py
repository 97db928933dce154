"""Clips of an episode for world-model training."""

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.data.windows import clip_actions, clip_frames, clip_starts
from engine.images import to_model
from engine.parity.items import load_vectors
from engine.records.types import Normalization

GOLDEN = Path(__file__).parents[1] / "golden" / "dataset_clips_a"


def test_starts_run_to_the_last_whole_chunk_before_the_end_step() -> None:
    assert clip_starts(11, 8).tolist() == [0, 1, 2, 3]


def test_a_stride_thins_the_starts_out() -> None:
    assert clip_starts(11, 4, stride=3).tolist() == [0, 3, 6]


def test_an_episode_shorter_than_a_chunk_has_no_clips() -> None:
    assert clip_starts(7, 8).tolist() == []


def test_a_chunk_of_no_actions_is_refused() -> None:
    with pytest.raises(ValueError, match="chunk size 0"):
        clip_starts(11, 0)


def test_the_context_is_padded_with_frame_zero() -> None:
    frames = clip_frames(np.array([0, 1, 5]), context_frames=3, chunk_size=2)
    assert frames.tolist() == [[0, 0, 0, 1, 2], [0, 0, 1, 2, 3], [3, 4, 5, 6, 7]]


def test_actions_of_a_clip_start_at_the_current_frame() -> None:
    assert clip_actions(np.array([0, 5]), chunk_size=3).tolist() == [[0, 1, 2], [5, 6, 7]]


def test_clips_equal_the_official_ones() -> None:
    scalars, tensors = load_vectors(GOLDEN)
    starts = clip_starts(scalars["finish_step"], scalars["chunk"], stride=scalars["stride"])
    frames = clip_frames(starts, context_frames=scalars["history"], chunk_size=scalars["chunk"])
    normalization = Normalization(
        q01=tuple(tensors["stats.q01"].tolist()),
        q99=tuple(tensors["stats.q99"].tolist()),
        mask=(True,) * 7,
    )
    video = to_model(tensors["episode.video"][torch.from_numpy(frames)])
    actions = normalization.normalize(tensors["episode.action"].numpy())
    assert starts.tolist() == scalars["start_indices"]
    np.testing.assert_allclose(
        video.numpy(), tensors["clips.video"].transpose(1, 2).numpy(), atol=1e-6
    )
    np.testing.assert_allclose(
        actions[clip_actions(starts, chunk_size=scalars["chunk"])],
        tensors["clips.action"].numpy(),
        atol=1e-5,
    )


def test_an_anchored_clip_begins_with_the_first_frame() -> None:
    starts = np.array([0, 5])
    slid = clip_frames(starts, context_frames=3, chunk_size=2)
    anchored = clip_frames(starts, context_frames=3, chunk_size=2, anchored=True)
    assert slid.tolist() == [[0, 0, 0, 1, 2], [3, 4, 5, 6, 7]]
    assert anchored.tolist() == [[0, 0, 0, 1, 2], [0, 4, 5, 6, 7]]
