"""A job refuses to run as another method for want of what its own needs."""

import pytest

from engine.runs.registry import declared, job_config, objections, run_job
from tests.fakes import MemoryRun


@pytest.mark.parametrize("name", ["WMPO from key frames", "WMPO in short branches"])
def test_a_variant_without_its_input_is_refused_by_the_job_itself(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} needs the policy's own rollouts"):
        run_job("optimise", {"method": name}, MemoryRun())


def test_with_its_input_nothing_speaks_against_it() -> None:
    config = job_config(
        "optimise", {"method": "WMPO from key frames", "key_frames_from": ["rollouts"]}
    )
    assert objections("optimise", config) == []


def test_what_the_job_checks_on_train_it_checks_in_a_shell() -> None:
    with pytest.raises(ValueError, match="no group of 2 can be kept"):
        run_job("optimise", {"group_size": 2, "keep_low": 0.6, "keep_high": 0.9}, MemoryRun())


def test_every_method_of_a_job_with_several_says_which_it_is() -> None:
    for method in declared("optimise").methods:
        assert job_config("optimise", dict(method.values)).to_dict()["method"] == method.name
