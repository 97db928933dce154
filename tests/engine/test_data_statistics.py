"""Action statistics."""

import numpy as np
import pytest

from engine.data.statistics import action_statistics


def test_quantiles_are_taken_over_all_steps_of_all_episodes() -> None:
    ramp = np.linspace(0.0, 1.0, 101, dtype=np.float32)[:, None]
    statistics = action_statistics([ramp[:40], ramp[40:]])
    assert statistics.q01 == pytest.approx((0.01,), abs=1e-6)
    assert statistics.q99 == pytest.approx((0.99,), abs=1e-6)
    assert statistics.mask == (True,)


def test_a_dimension_that_hardly_moves_passes_unchanged() -> None:
    moving = np.linspace(-1.0, 1.0, 50, dtype=np.float32)
    actions = np.stack([moving, np.full(50, -1.0, np.float32)], axis=1)
    statistics = action_statistics([actions])
    assert statistics.mask == (True, False)
    assert (statistics.normalize(actions)[:, 1] == -1.0).all()


def test_a_named_dimension_passes_unchanged() -> None:
    actions = np.stack([np.linspace(-1.0, 1.0, 50, dtype=np.float32)] * 2, axis=1)
    assert action_statistics([actions], passthrough=(1,)).mask == (True, False)


def test_a_passing_dimension_outside_the_model_range_is_refused() -> None:
    with pytest.raises(ValueError, match="dimension 0 cannot pass unchanged: it reaches 3"):
        action_statistics([np.full((9, 1), 3.0, np.float32)])


def test_no_actions_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one action"):
        action_statistics([np.zeros((0, 4), np.float32)])
