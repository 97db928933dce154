"""The studio: three slots, what they need, loading and unloading them."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.live.dreams import Dreams
from app.live.models import Models
from app.models.lineage import details, parents
from app.models.loader import Loader
from app.models.panel import model_panel
from app.rates import TooMuchError
from app.studio import Studio
from app.visitors import Role
from app.web.questions import ask
from engine.device import DeviceMemory, Placement
from engine.records.manifest import write_manifest
from engine.records.tasks import get_task
from storage.checkpoints.catalogue import Checkpoint
from tests.app.conftest import CONFIGS, load_fake, make_checkpoint, three

THREE = ("demo/base", "demo/world", "demo/reward")
CHOSEN = three(*THREE)
GIB = 1 << 30


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30.0
    while not reached():
        assert time.monotonic() < deadline, "the condition was never reached"
        threading.Event().wait(0.01)


def loaded(studio: Studio) -> dict[str, Any]:
    ask(studio.models.slots.load, CHOSEN | {"rows": 2})
    until(lambda: studio.models.slots.status()["state"] != "loading")
    return studio.models.slots.status()


def test_every_slot_offers_the_catalogue_of_its_role(studio: Studio) -> None:
    slots = {slot["role"]: slot["choices"] for slot in studio.models.slots.choices()["slots"]}
    assert [choice["id"] for choice in slots["policy"]] == ["demo/base", "demo/seven"]
    assert [choice["id"] for choice in slots["reward_model"]] == ["demo/reward"]


def named(demo: Path, name: str, task: str, role: str | None = None) -> None:
    """A checkpoint of the demo made for a task; with a role a new one."""
    place = demo / "checkpoints" / name
    if role:
        make_checkpoint(place, CONFIGS[{"policy": "base", "world_model": "world"}.get(role, role)])
    (place / "card.json").write_text(json.dumps({"task": task}))
    write_manifest(place)


def test_models_of_another_task_give_way_and_are_refused_together(
    make_studio: Callable[..., Studio], demo: Path
) -> None:
    for name in ("base", "world", "reward"):
        named(demo, name, "coffee-push")
    named(demo, "slider", "plate-slide", "policy")
    named(demo, "table", "plate-slide", "world_model")
    slots = make_studio().models.slots
    assert slots.tasks() == ["coffee-push"]  # no judge of plates
    mixed = CHOSEN | {"policy": "demo/slider"}
    sentence = "the policy was made for plate-slide, but the world model for coffee-push"
    with pytest.raises(ValueError, match=sentence):
        ask(slots.together, mixed)
    assert slots.follow("policy", mixed) == mixed | {"world_model": "demo/table"}
    back = slots.follow("reward_model", mixed | {"world_model": "demo/table"})
    assert back == CHOSEN
    assert slots.first_of("plate-slide", "policy") == "demo/slider"


def test_a_plan_names_the_parts_the_device_and_what_the_three_agree_on(studio: Studio) -> None:
    plan = ask(studio.models.slots.memory_plan, CHOSEN | {"rows": 8})
    assert [part["name"] for part in plan["components"]] == [
        *("policy", "world model", "autoencoder", "reward model")
    ]
    assert plan["fits"] is True
    assert plan["rows"] == 8
    assert {check["name"]: (check["ok"], check["text"]) for check in plan["checks"]} == {
        "image": (True, "64 px"),
        "actions": (True, "4-D"),
        "chunk": (True, "8 actions"),
        "statistics": (None, "not said"),
        "window": (None, "8 frames"),
    }


def test_a_disagreement_is_named_with_both_sides(studio: Studio) -> None:
    checks = ask(studio.models.slots.memory_plan, CHOSEN | {"policy": "demo/seven"})["checks"]
    assert {"name": "actions", "ok": False, "text": "7-D against 4-D"} in checks


def test_models_for_which_one_action_is_two_movements_are_not_used_together(
    studio: Studio, demo: Path
) -> None:
    statistics = {"q01": [-1.0] * 4, "q99": [1.0] * 4, "mask": [True] * 4}
    for name, q99 in (("base", 1.0), ("world", 1.0 + 1e-9)):
        path = demo / "checkpoints" / name / "normalization.json"
        path.write_text(json.dumps(statistics | {"q99": [q99] * 4}))
    same = {"name": "statistics", "ok": True, "text": "the same"}
    assert same in ask(studio.models.slots.memory_plan, CHOSEN)["checks"]
    path.write_text(json.dumps(statistics | {"q99": [0.5] * 4}))
    other = {"name": "statistics", "ok": False, "text": "one action is two movements"}
    assert other in ask(studio.models.slots.memory_plan, CHOSEN)["checks"]
    with pytest.raises(ValueError, match="one action is not the same movement"):
        ask(studio.models.slots.load, CHOSEN | {"rows": 2})


@pytest.mark.parametrize(
    ("batch", "sentence"), [(0, "rows must be from 1 to 512, not 0"), ("two", "a whole number")]
)
def test_a_batch_out_of_range_is_refused(studio: Studio, batch: Any, sentence: str) -> None:
    with pytest.raises((ValueError, LookupError), match=sentence):
        ask(studio.models.slots.memory_plan, CHOSEN | {"rows": batch})


def test_loading_goes_part_by_part_and_times_the_first_use(studio: Studio) -> None:
    status = loaded(studio)
    assert (status["state"], status["error"], status["share"]) == ("ready", None, 1.0)
    assert [(part["role"], part["state"]) for part in status["parts"]] == [
        ("policy", "done"),
        ("world_model", "done"),
        ("reward_model", "done"),
        ("warm_up", "done"),
    ]
    assert {model["id"] for model in status["loaded"]} == set(THREE)
    [timing] = status["timings"]
    assert {"act", "chunk", "decode", "judge"} <= set(timing)


def test_models_that_do_not_fit_each_other_are_not_loaded(studio: Studio) -> None:
    with pytest.raises(ValueError, match="actions have 7 numbers, but the world model takes 4"):
        ask(studio.models.slots.load, CHOSEN | {"policy": "demo/seven"})
    assert studio.models.slots.status()["state"] == "idle"


def test_a_failed_part_says_why_and_the_next_attempt_works(studio: Studio, demo: Path) -> None:
    config = json.loads((demo / "checkpoints" / "base" / "config.json").read_text())
    make_checkpoint(demo / "checkpoints" / "broken", config)
    ask(studio.models.slots.load, CHOSEN | {"policy": "demo/broken"})
    until(lambda: studio.models.slots.status()["state"] == "failed")
    status = studio.models.slots.status()
    assert status["error"] == "RuntimeError: the weights are on strike"
    assert [part["state"] for part in status["parts"]][:2] == ["failed", "waiting"]
    assert loaded(studio)["state"] == "ready"


def test_unloading_frees_models_and_stops_their_dreams(
    studio: Studio, settings: dict[str, Any]
) -> None:
    loaded(studio)
    dream = ask(studio.imagine.dreams.open, settings)["dream"]
    ask(studio.imagine.dreams.act, {"dream": dream, "action": "chunk"})
    until(lambda: ask(studio.imagine.dreams.pull, {"dream": dream})["next"] > 1)
    assert ask(studio.models.slots.unload, CHOSEN)["loaded"] == []
    until(lambda: ask(studio.imagine.dreams.pull, {"dream": dream})["state"] == "failed")
    assert "were unloaded" in ask(studio.imagine.dreams.pull, {"dream": dream})["error"]
    ask(studio.imagine.dreams.act, {"dream": dream, "action": "reset"})
    ask(studio.imagine.dreams.act, {"dream": dream, "action": "chunk"})
    until(lambda: ask(studio.imagine.dreams.pull, {"dream": dream})["next"] > 1)
    assert {model["id"] for model in studio.models.slots.status()["loaded"]} == set(THREE)


def test_an_unknown_checkpoint_is_refused_in_a_sentence(studio: Studio) -> None:
    with pytest.raises((ValueError, LookupError), match="there is no checkpoint demo/nobody"):
        ask(studio.models.slots.unload, CHOSEN | {"policy": "demo/nobody"})
    with pytest.raises((ValueError, LookupError), match="there is no checkpoint demo/nobody"):
        ask(studio.models.slots.details, {"id": "demo/nobody"})


# A public studio.


def test_a_public_studio_unloads_nothing_and_takes_no_folders(
    make_studio: Callable[..., Studio],
) -> None:
    studio = make_studio(role=Role.VISITOR)
    with pytest.raises(ValueError, match="rows must be from 1 to 64, not 65"):
        ask(studio.models.slots.memory_plan, CHOSEN | {"rows": 65})


def test_a_public_studio_rations_loads(make_studio: Callable[..., Studio]) -> None:
    studio = make_studio(role=Role.VISITOR)
    loaded(studio)
    with pytest.raises(TooMuchError, match="loaded a moment ago: wait 10 seconds"):
        ask(studio.models.slots.load, CHOSEN)


def test_the_panel_of_an_own_studio_offers_folders_and_downloads(studio: Studio) -> None:
    panel = model_panel(studio.models, rows=8)
    assert panel.props["sources"] == ["folder", "download"]


# Small devices.


class Recorder:
    """Loads fakes and remembers how they were placed; holds the first one back while asked to."""

    def __init__(self) -> None:
        self.placements: list[Placement | None] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def load(self, directory: Path, placement: Placement | None) -> Any:
        self.go_on.wait(30.0)
        self.placements.append(placement)
        return load_fake(directory)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def small(studio: Studio, recorder: Recorder) -> Iterator[Callable[[int], Loader]]:
    """A loader on a CPU with some free bytes."""
    dreams = Dreams(Models(recorder.load))

    def make(free: int) -> Loader:
        memory = DeviceMemory(kind="cpu", name="the CPU", total=GIB, free=free)
        return Loader(dreams, memory=lambda: memory)

    yield make
    recorder.go_on.set()
    dreams.close()


@pytest.fixture
def chosen(studio: Studio) -> tuple[Checkpoint, Checkpoint, Checkpoint]:
    policy, world_model, reward_model = map(studio.cabinet.checkpoints.get, THREE)
    return policy, world_model, reward_model


Three = tuple[Checkpoint, Checkpoint, Checkpoint]
TASK = get_task("coffee-push")


def test_what_does_not_fit_is_refused_with_the_plans_sentence(
    small: Callable[[int], Loader], chosen: Three
) -> None:
    loader = small(1 << 20)
    with pytest.raises(ValueError, match=r"Does not fit: .* Even in bfloat16"):
        loader.load(chosen, TASK, rows=8, as_proposed=True)
    assert loader.status()["state"] == "idle"


def test_a_proposal_is_loaded_as_proposed(
    small: Callable[[int], Loader], chosen: Three, recorder: Recorder
) -> None:
    needed = small(GIB).plan(chosen, rows=8, horizon=48)["total"]
    loader = small(needed - 1)
    with pytest.raises(ValueError, match="It fits in bfloat16"):
        loader.load(chosen, TASK, rows=8, as_proposed=False)
    loader.load(chosen, TASK, rows=8, as_proposed=True)
    until(lambda: loader.status()["state"] == "ready")
    assert recorder.placements == [Placement(dtype="bfloat16")] * 3
    assert {model["placed"]["dtype"] for model in loader.status()["loaded"]} == {"bfloat16"}


def test_two_loads_do_not_mix(
    small: Callable[[int], Loader], chosen: Three, recorder: Recorder
) -> None:
    recorder.go_on.clear()
    loader = small(GIB)
    loader.load(chosen, TASK, rows=1, as_proposed=False)
    with pytest.raises(ValueError, match="being loaded already"):
        loader.load(chosen, TASK, rows=1, as_proposed=False)
    with pytest.raises(ValueError, match="wait until they are"):
        loader.unload(chosen)


# Lineage.


def checkpoint(name: str, **card: Any) -> Checkpoint:
    return Checkpoint(
        id=name,
        role="reward_model" if "reward" in name else "policy",
        name=name,
        directory=Path(name),
        hash=f"{name}-hash",
        config={"success_threshold": 0.62} if "reward" in name else {},
        card=card,
    )


KNOWN = {
    "base-hash": checkpoint("base", lineage={"policy": "gone-hash"}),
    "reward-hash": checkpoint("reward"),
}


def by_hash(digest: str) -> Checkpoint:
    if digest not in KNOWN:
        raise LookupError(digest)
    return KNOWN[digest]


def test_parents_are_followed_by_hash_as_far_as_the_catalogue_knows_them() -> None:
    better = checkpoint(
        "run/run-7/step-000012",
        lineage={"policy": "base-hash", "reward_model": "reward-hash"},
        config={"policy": "base/checkpoints/step-001000", "seed": 3},
        data={"coffee-push expert (demonstrations)": 279},
    )
    found = details(better, by_hash, parameters=5)
    assert found["source"] == {"text": "run run-7, step 000012", "run": "run-7"}
    assert (found["seed"], found["data"]) == (3, ["279 coffee-push expert (demonstrations)"])
    policy, reward = found["parents"]
    assert (policy["id"], policy["made_as"]) == ("base", "base/checkpoints/step-001000")
    assert [(node["id"], node["short"]) for node in policy["parents"]] == [(None, "gone-has")]
    assert (reward["id"], reward["threshold"]) == ("reward", 0.62)


def test_a_card_of_nonsense_has_no_lineage() -> None:
    assert parents(checkpoint("odd", lineage=["a", "b"], config=7), by_hash) == []
    assert details(checkpoint("odd", config=7, data=3), by_hash, parameters=0)["seed"] is None
