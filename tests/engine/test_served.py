"""A world model at an address as a checkpoint: adopted, dreamt in and measured."""

import json
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.live.models import load_checkpoint
from engine.device import DeviceMemory, Placement
from engine.jobs.optimise.together import sizes_together
from engine.loading.models import load_dreaming, load_world_model
from engine.loading.trial import check_model
from engine.memory.planner import plan
from engine.protocols import WorldModel
from engine.records.episodes import list_episodes, read_episode
from engine.records.manifest import write_manifest
from engine.serving.world_model import about_checkpoint
from tests.engine.test_serving import DEMO, WORLD, served
from tests.engine.tiny import do, last_checkpoint

SHIPPED = {
    role: str(DEMO / "checkpoints" / f"coffee-push-{name}")
    for role, name in (("policy", "base"), ("world_model", "world"), ("reward_model", "judge"))
}


def adopted(address: str, out: Path) -> Path:
    do("adopt", out, role="world_model", source=address)
    return Path(last_checkpoint(out))


def optimised(out: Path, world_model: str) -> dict[str, np.ndarray]:
    """The stored dreams of one iteration."""
    do(
        "optimise",
        out,
        **SHIPPED | {"world_model": world_model},
        starts=str(DEMO / "starts" / "coffee-push.npz"),
        iterations=1,
        groups=2,
        max_groups=2,
        group_size=2,
        horizon=16,
        denoising_steps=1,
        record_groups=2,
        probe_starts=0,
    )
    episodes = [read_episode(path) for path in list_episodes(out / "episodes")]
    return {episode.id: episode.arrays["latents"] for episode in episodes} | {
        f"{episode.id} frames": episode.frames for episode in episodes
    }


@pytest.mark.soak  # its dreams alone: test_serving
def test_training_and_measuring_in_a_served_world_model_are_those_in_the_model_itself(
    tmp_path: Path,
) -> None:
    with served(load_world_model(WORLD), about=about_checkpoint(WORLD)) as address:
        theirs = adopted(address, tmp_path / "served")
        found = optimised(tmp_path / "there", str(theirs))
        measured = fidelity(tmp_path / "measured", theirs)
    expected = optimised(tmp_path / "here", str(WORLD))
    assert found.keys() == expected.keys() and len(found) >= 2
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    assert measured == fidelity(tmp_path / "measured_here", WORLD)


def test_a_judge_is_calibrated_and_gates_are_measured_in_a_served_world_model(
    tmp_path: Path,
) -> None:
    for path in sorted((DEMO / "episodes").glob("coffee-push-*"))[-3:]:  # one of them a success
        shutil.copytree(path, tmp_path / "real" / "episodes" / path.name)
    episodes = str(tmp_path / "real")
    with served(load_world_model(WORLD), about=about_checkpoint(WORLD)) as address:
        theirs = adopted(address, tmp_path / "served")
        found = calibrated_and_gated(tmp_path / "there", theirs, episodes)
        with pytest.raises(ValueError, match="leave siblings empty"):
            gates(tmp_path / "siblings", theirs, episodes, siblings=[episodes])
    expected = calibrated_and_gated(tmp_path / "here", WORLD, episodes)
    assert found == expected
    assert found["calibrate/episodes"] == 3


def calibrated_and_gated(out: Path, world_model: Path, episodes: str) -> dict[str, float]:
    judged = do(
        "calibrate",
        out / "calibrate",
        reward_model=SHIPPED["reward_model"],
        world_model=str(world_model),
        episodes_from=[episodes],
        denoising_steps=1,
    )
    measured = gates(out / "gates", world_model, episodes)
    assert judged is not None
    return judged | measured


def gates(out: Path, world_model: Path, episodes: str, **changes: Any) -> dict[str, float]:
    models = {"world_model": str(world_model), "reward_model": SHIPPED["reward_model"]}
    result = do("gates", out, **models, held_out=[episodes], denoising_steps=1, **changes)
    assert result is not None
    return result


def fidelity(out: Path, world_model: Path) -> Any:
    result = do(
        "fidelity",
        out,
        world_model=str(world_model),
        reward_model=SHIPPED["reward_model"],
        episodes_from=[str(DEMO)],
        episodes=2,
        denoising_steps=1,
    )
    assert result is not None
    return result["curves"]["matrix"]


def test_the_checkpoint_of_an_address_knows_what_the_studio_asks_of_one(tmp_path: Path) -> None:
    with served(load_world_model(WORLD), about=about_checkpoint(WORLD)) as address:
        theirs = adopted(address, tmp_path / "served")
        with pytest.raises(ValueError, match="takes no part in this"):
            load_world_model(theirs)
    with (
        served(load_world_model(WORLD)) as unknown,
        pytest.raises(ValueError, match="does not say its 'hash'"),
    ):
        adopted(unknown, tmp_path / "unknown")
        with closing(load_checkpoint(theirs)) as world_model:  # as the studio loads it
            assert isinstance(world_model, WorldModel)
    assert not any(theirs.glob("*.safetensors"))
    assert json.loads((theirs / "card.json").read_text())["task"] == "coffee-push"
    own = json.loads((WORLD / "normalization.json").read_text())
    assert json.loads((theirs / "normalization.json").read_text()) == own
    models = {**SHIPPED, "world_model": str(theirs)}
    sizes = sizes_together({role: Path(path) for role, path in models.items()})
    device = DeviceMemory(kind="cpu", name="a computer", total=2**34, free=2**34)
    planned = plan(*sizes, device=device, placement=Placement(), rows=4, horizon=48)
    assert [component.name for component in planned.components] == ["policy", "reward model"]


def test_another_world_model_at_the_address_is_refused(tmp_path: Path) -> None:
    about = about_checkpoint(WORLD)
    with served(load_world_model(WORLD), about=about) as address:
        theirs = adopted(address, tmp_path / "served")
    config = json.loads((theirs / "config.json").read_text())
    with served(load_world_model(WORLD), about=about | {"hash": "another"}) as address:
        (theirs / "config.json").write_text(json.dumps(config | {"address": address}))
        write_manifest(theirs)
        with pytest.raises(ValueError, match="is another one than step-000001 stands for"):
            load_dreaming(theirs)


def test_an_address_does_not_come_in_with_a_checkpoint_from_elsewhere(tmp_path: Path) -> None:
    """Who loads it would be made to ask for whatever it names."""
    folder = tmp_path / "foreign"
    folder.mkdir()
    config = {"role": "world_model", "family": "served", "address": "http://127.0.0.1:1"}
    (folder / "config.json").write_text(json.dumps(config))
    write_manifest(folder)
    assert not check_model(folder).accepted
    (folder / "model.safetensors").write_bytes((WORLD / "model.safetensors").read_bytes())
    write_manifest(folder)
    verdict = check_model(folder)
    assert not verdict.accepted and "the address of a world model" in verdict.sentence
