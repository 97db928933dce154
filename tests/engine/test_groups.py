"""How attempts become rewarded groups, with attempts written down by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.jobs.collect import JobConfig as CollectConfig
from engine.jobs.collect import plan
from engine.jobs.optimise.groups import Places
from engine.jobs.optimise.iteration import Iteration, nothing_learnt
from engine.jobs.optimise.job import JobConfig, sample_groups
from engine.records.states import Fate
from engine.records.types import Outcome, Trajectory


@dataclass(frozen=True)
class Written:
    """An attempt that is only its outcome."""

    start_id: int
    member: int
    outcome: Outcome
    policy_frames: Tensor = field(default_factory=lambda: torch.zeros(1, 2, 2, 3).byte())
    tokens: Tensor = field(default_factory=lambda: torch.zeros(1, 4).long())
    log_probs: Tensor = field(default_factory=lambda: torch.zeros(1, 4))
    entropy: Tensor = field(default_factory=lambda: torch.zeros(1))


class WrittenGroups:
    """Ten starts of four attempts, of which the first succeeds."""

    verb = "write"

    def give_way(self) -> None:
        """Nobody else wants the device."""

    def __len__(self) -> int:
        return 10

    def sample(self, iteration: int, chosen: Sequence[int]) -> list[Written]:
        return self.play(iteration, [(s, m) for s in chosen for m in range(4)])

    def attempts(self, iteration: int, places: Places) -> list[Written]:
        return [Written(start, member, Outcome(member == 0, 8)) for start, member in places]

    play = attempts

    def measures(self, attempts: Sequence[Any]) -> dict[str, float]:
        return {}

    def trajectory(self, attempt: Any, iteration: int, lineage: Mapping[str, Any]) -> Trajectory:
        raise AssertionError("nothing is recorded here")


def _rewarded(**changes: Any) -> list[list[bool]]:
    config = JobConfig(groups=5, max_groups=10, group_size=4, **changes)
    return [sample_groups(config, WrittenGroups(), i)[1].tolist() for i in range(3)]


def test_rewards_are_successes_unless_they_are_shuffled() -> None:
    assert _rewarded() == [[True, False, False, False] * 5] * 3


def test_shuffled_rewards_are_dealt_out_anew_within_each_batch_and_repeat_with_the_seed() -> None:
    first = _rewarded(shuffle_rewards=True)
    assert first == _rewarded(shuffle_rewards=True) != _rewarded(shuffle_rewards=True, seed=1)
    assert [sum(batch[:20]) for batch in first] == [5, 5, 5]
    assert first[0][:20] != first[1][:20]


def test_a_shuffled_batch_is_what_decides_whether_more_groups_are_needed() -> None:
    # Shuffled successes pile up in some groups and leave others without any.
    assert {len(batch) for batch in _rewarded(shuffle_rewards=True)} == {40}


def test_episodes_are_planned_start_by_start_and_the_first_keeps_the_seed() -> None:
    planned = plan(CollectConfig(pool="budget", episodes=4, episodes_per_start=2, seed=7), "push")
    names, starts, seeds = zip(*planned, strict=True)
    assert names[:2] == ("push-expert-200000-7", "push-expert-200000-7-1")
    assert starts == (200_000, 200_000, 200_001, 200_001)
    assert seeds[0] == 7 and len(set(seeds)) == 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"episodes": 5}, "5 episodes cannot be 2 of each start"),
        ({"episodes": 4, "only_successes": True}, "set episodes_per_start=1"),
    ],
)
def test_episodes_that_cannot_be_shared_out_are_refused(
    changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        plan(CollectConfig(pool="budget", episodes_per_start=2, **changes), "push")


def test_a_group_that_came_when_there_were_enough_is_told_apart() -> None:
    attempts = [Written(start, 0, Outcome(True, 8)) for start in (1, 2, 3)]
    done = Iteration(
        number=0,
        attempts=attempts,
        returns=torch.zeros(3),
        advantages=torch.zeros(3),
        fates={1: Fate.KEPT, 2: Fate.KEPT, 3: Fate.TOO_FEW},
        kept=[0],
        weights=None,
    )
    assert done.told_fates() == {1: "kept", 2: "surplus", 3: "too_few_successes"}


@pytest.mark.parametrize(
    ("rewarded", "kept", "said"),
    [
        ([True, False, False, False], [0, 1], ""),
        ([True, False, False, False], [], "every group was dropped, nothing was learnt"),
        ([True] * 4, [0, 1, 2, 3], "all 4 were judged successes: label more failures"),
        ([False] * 4, [], "all 4 were judged failures: train the policy or the judge for longer"),
        ([True, True, False, False], [], "whatever started alike ended alike: raise the temp"),
    ],
)
def test_an_iteration_of_which_nothing_is_learnt_says_why(
    rewarded: list[bool], kept: list[int], said: str
) -> None:
    """Two starts of two attempts each; siblings that end alike teach nothing, kept or not."""
    found = nothing_learnt(rewarded, [7, 7, 8, 8], kept)
    assert said in found and bool(found) == bool(said)
