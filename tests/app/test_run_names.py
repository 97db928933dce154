"""What a run is called, what people say of it, and what it waits for."""

from collections.abc import Callable
from typing import Any

import pytest

from app.runs.about import About, Abouts, method_of, run_name
from app.studio import Studio
from app.train.methods import methods
from app.train.successes import success_of
from app.web.questions import ask
from engine.records.types import Trajectory
from tests.app.conftest import OPTIMISE


@pytest.mark.parametrize(
    ("job", "config", "name"),
    [
        ("optimise", {}, "WMPO"),
        ("optimise", {"method": "Shuffled rewards"}, "Shuffled rewards"),
        ("optimise", {"environment": "simulator", "pool": "budget"}, "GRPO in the simulator"),
        ("prefer", {}, "DPO"),
        ("train_reward", {}, "Train reward"),
        ("of_another_version", {}, "Of another version"),
    ],
)
def test_a_run_is_called_by_its_method(job: str, config: dict[str, Any], name: str) -> None:
    assert method_of(job, config) == name


def test_the_name_says_when_it_was_started() -> None:
    assert run_name("prefer", {}, 0.0).startswith("DPO, 1 Jan ")


def test_what_is_said_of_a_run_survives_and_damage_does_not_hurt(tmp_path: Any) -> None:
    Abouts().change(tmp_path, {"note": "the good one", "tags": ["a", "b"]})
    assert Abouts().of(tmp_path) == About(note="the good one", tags=("a", "b"))
    (tmp_path / "about.json").write_text("{")
    assert Abouts().of(tmp_path) == About()
    (tmp_path / "about.json").write_text('{"name": 3}')
    assert Abouts().of(tmp_path) == About()


def test_a_run_is_renamed_and_the_second_one_says_behind_what_it_waits(studio: Studio) -> None:
    first = studio.train.training.start("optimise", OPTIMISE)
    second = studio.train.training.start("optimise", OPTIMISE)
    ask(studio.runs.describe, {"run": first, "name": "the first", "hidden": True})
    ask(studio.runs.describe, {"run": first, "note": "later"})
    newest, oldest = studio.runs.all()
    assert (oldest["name"], oldest["note"], oldest["hidden"]) == ("the first", "later", True)
    assert newest["id"] == second
    assert newest["waits_for"] == "behind the first"
    assert oldest["waits_for"] == "starting"
    with pytest.raises(ValueError, match="name"):
        ask(studio.runs.describe, {"run": first, "name": "x" * 121})
    with pytest.raises(LookupError, match="there is no run nobody"):
        ask(studio.runs.describe, {"run": "nobody", "name": "x"})


def test_filters_and_the_drawer_call_a_run_by_its_name(
    studio: Studio, make_trajectory: Callable[..., Trajectory]
) -> None:
    run = studio.train.training.start("optimise", OPTIMISE)
    for name, lineage in (("of-it", {"run": run}), ("of-another", {"run": "gone"})):
        studio.cabinet.trajectories.add(make_trajectory(name, lineage={"created": 1.0, **lineage}))
    ask(studio.runs.describe, {"run": run, "name": "the good one"})
    called = {value: name for value, _, name in studio.episodes.gallery.facets()["run"]}
    assert called == {run: "the good one", "gone": "gone"}
    clip = ask(studio.episodes.clips.clip, {"episode": "of-it"})
    assert (clip["run"], clip["run_name"]) == (run, "the good one")
    names = studio.episodes.gallery.run_names(["of-it", "of-another", "nobody"])
    assert names == {"of-it": "the good one", "of-another": "gone"}


def test_success_is_the_best_known_one_with_its_interval() -> None:
    config: dict[str, Any] = {"real_episodes": 16, "groups": 2, "group_size": 4}
    config["environment"] = "imagination"
    imagined = {"rollout/success_rate": 0.5}
    found = success_of(imagined, config)
    assert found is not None
    assert (found["kind"], found["rate"]) == ("imagined", 0.5)
    assert found["low"] == pytest.approx(0.2152, abs=1e-4)  # Wilson, 4 of 8
    logged = imagined | {"rollout/success_low": 0.4, "rollout/success_high": 0.6}
    assert success_of(logged, config) == found  # an interval does not make a dream real
    real = success_of(logged | {"real/final_success_rate": 0.6875}, config)
    assert real is not None and (real["kind"], real["rate"]) == ("real", 0.6875)
    played = success_of({"evaluate/success_rate": 0.3, "evaluate/success_low": 0.2}, {})
    assert played is not None and played["low"] == 0.2
    assert success_of({}, config) is None


def test_four_methods_come_first_and_every_other_is_a_step_or_an_ablation() -> None:
    kinds = {method.name: method.kind for method in methods()}
    assert [name for name, kind in kinds.items() if kind == "method"] == [
        *("WMPO", "GRPO in the simulator", "DPO", "Filtered cloning"),
    ]
    assert [name for name, kind in kinds.items() if kind == "step"] == [
        *("Collect rollouts", "Train this task", "Align the world model"),
    ]
