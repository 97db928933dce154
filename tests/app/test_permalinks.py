"""Links that hold a whole dream, and dreams that come back from them."""

import base64
import dataclasses
import json
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from app.imagine.permalinks import read_token, token
from app.live.models import Models
from app.studio import Studio
from app.visitors import Role
from app.web.questions import ask
from engine.device import Placement
from engine.records.types import Trajectory
from storage.workspace import open_workspace
from tests.app.real_demo import START as REAL_START
from tests.app.real_demo import build_demo
from tests.app.test_imagining import load_noisy
from tests.fakes import AddingWorldModel


@pytest.fixture
def open_noisy(make_studio: Callable[..., Studio]) -> Callable[[], Studio]:
    return lambda: make_studio(models=Models(load_noisy))


def adventure(studio: Studio, settings: dict[str, Any]) -> str:
    """A dream with everything in it: changed settings, a branch, a person's hand; its id."""
    dream = ask(studio.imagine.dreams.open, settings)["dream"]
    step = {"dream": dream, "action": "chunk"}
    ask(studio.imagine.dreams.act, step)
    found = ask(
        studio.imagine.dreams.branch, {"dream": dream, "node": 1, "vary": "world", "count": 2}
    )
    ask(studio.imagine.dreams.select, {"dream": dream, "node": found["branches"][1]})
    ask(
        studio.imagine.dreams.change,
        {"dream": dream, "seed": 11, "temperature": 0.7, "instruction": "stop"},
    )
    ask(studio.imagine.dreams.steer, {"dream": dream, "mode": "human", "actions": {"y": -0.3}})
    ask(studio.imagine.dreams.act, step)
    ask(studio.imagine.dreams.steer, {"dream": dream, "mode": "policy"})
    ask(studio.imagine.dreams.act, step)
    return dream


def packed(record: Any) -> str:
    data = zlib.compress(json.dumps(record).encode())
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def test_a_dream_with_everything_in_it_comes_back_bit_for_bit(
    open_noisy: Callable[[], Studio], settings: dict[str, Any]
) -> None:
    studio = open_noisy()
    dream = adventure(studio, settings)
    link = ask(studio.imagine.dreams.permalink, {"dream": dream})["token"]
    seen = ask(studio.imagine.dreams.pull, {"dream": dream})
    assert len(link) < 1_000
    fresh = open_noisy()
    found = ask(fresh.imagine.dreams.replay, {"token": link})
    assert found["exact"]
    again = ask(fresh.imagine.dreams.pull, {"dream": found["dream"]})
    for name in ("frames", "actions", "overridden", "probabilities", "entropy"):
        assert again[name] == seen[name], name
    assert ask(fresh.imagine.dreams.permalink, {"dream": found["dream"]})["token"] == link
    branch = {"dream": found["dream"], "node": 1, "vary": "policy"}
    assert ask(fresh.imagine.dreams.branch, branch)["leaves"]


def test_a_stored_episode_and_its_dream_share_one_link(
    open_noisy: Callable[[], Studio], settings: dict[str, Any]
) -> None:
    studio = open_noisy()
    dream = adventure(studio, settings)
    link = ask(
        studio.imagine.dreams.permalink,
        {"episode": ask(studio.imagine.dreams.save, {"dream": dream})["episode"]},
    )
    assert link == ask(studio.imagine.dreams.permalink, {"dream": dream})


def test_a_dream_from_an_upload_or_a_frame_comes_back_too(
    open_noisy: Callable[[], Studio], settings: dict[str, Any]
) -> None:
    studio = open_noisy()
    picture = np.random.default_rng(0).integers(0, 160, (90, 120, 3), dtype=np.uint8)
    first = adventure(studio, settings | {"start_id": studio.imagine.starts.add_upload(picture)})
    episode = ask(studio.imagine.dreams.save, {"dream": first})["episode"]
    del settings["start_id"]
    second = adventure(studio, settings | {"from": {"episode": episode, "frame": 3}})
    links = [
        ask(studio.imagine.dreams.permalink, {"dream": dream})["token"] for dream in (first, second)
    ]
    fresh = open_noisy()
    assert all(ask(fresh.imagine.dreams.replay, {"token": link})["exact"] for link in links)


def test_a_missing_checkpoint_is_named(
    open_noisy: Callable[[], Studio], settings: dict[str, Any], demo: Path
) -> None:
    studio = open_noisy()
    link = ask(studio.imagine.dreams.permalink, {"dream": adventure(studio, settings)})["token"]
    short = studio.models.slots.checkpoints("world_model")[0]["short"]
    shutil.rmtree(demo / "checkpoints" / "world")
    with pytest.raises(
        ValueError, match=f"the world model of this dream, checkpoint {short}, is not in this"
    ):
        ask(open_noisy().imagine.dreams.replay, {"token": link})


def test_a_start_that_is_gone_is_told_so(
    open_noisy: Callable[[], Studio], settings: dict[str, Any], workspace: Any
) -> None:
    studio = open_noisy()
    start_id = studio.imagine.starts.add_upload(np.full((64, 64, 3), 7, np.uint8))
    link = ask(
        studio.imagine.dreams.permalink,
        {"dream": adventure(studio, settings | {"start_id": start_id})},
    )
    shutil.rmtree(workspace.starts)
    with pytest.raises(ValueError, match="the uploaded image is gone: upload it again"):
        ask(studio.imagine.dreams.replay, link)


def test_episodes_that_cannot_be_imagined_again_say_why(
    make_trajectory: Callable[..., Trajectory],
) -> None:
    with pytest.raises(ValueError, match="real-1 is a real episode"):
        token(make_trajectory("real-1", imagined=False))
    with pytest.raises(ValueError, match="was stored without its policy, world_model"):
        token(make_trajectory())


@pytest.mark.parametrize(
    "text", [None, 7, "", "é", "abc", "x" * 40_000, packed([1]), packed({"policy": "x"})]
)
def test_what_is_no_link_is_refused_in_a_sentence(text: Any) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        read_token(text)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"policy": None}, "the policy of this dream was not kept as a checkpoint"),
        ({"task": "fly"}, "unknown task 'fly'"),
        ({"horizon": 4_800}, "horizon must be from 1 to 48"),
        ({"draws": []}, "the number of chunks must be from 1 to 6, not 0"),
        ({"draws": [{}] * 7}, "the number of chunks must be from 1 to 6, not 7"),
        ({"draws": [{"magic": 1}]}, "magic is not known here"),
        ({"draws": [{"overrides": [[0.0]]}]}, "overrides must be 8 steps of 4 numbers"),
        ({"draws": [{"overrides": [[9.0] * 4] * 8}]}, "an override must be from -1 to 1"),
        ({"draws": "all"}, "this link is damaged"),
        ({"seed": -1}, "seed must be from 0"),
        ({"start_sha256": "00"}, "the start frame of this dream looks different here"),
    ],
)
def test_a_link_that_was_tampered_with_is_refused_in_a_sentence(
    open_noisy: Callable[[], Studio],
    settings: dict[str, Any],
    change: dict[str, Any],
    sentence: str,
) -> None:
    studio = open_noisy()
    dream = ask(studio.imagine.dreams.open, settings)["dream"]
    ask(studio.imagine.dreams.act, {"dream": dream, "action": "chunk"})
    record = read_token(ask(studio.imagine.dreams.permalink, {"dream": dream})["token"])
    with pytest.raises((ValueError, LookupError), match=sentence):
        ask(studio.imagine.dreams.replay, {"token": packed(record | change)})


def test_a_public_studio_replays_within_its_caps(
    make_studio: Callable[..., Studio], settings: dict[str, Any]
) -> None:
    studio = make_studio(models=Models(load_noisy), role=Role.VISITOR)
    dream = ask(studio.imagine.dreams.open, settings)["dream"]
    ask(studio.imagine.dreams.act, {"dream": dream, "action": "chunk"})
    record = read_token(ask(studio.imagine.dreams.permalink, {"dream": dream})["token"])
    greedy = record | {"draws": [{"denoising_steps": 50}]}
    with pytest.raises(ValueError, match="denoising_steps must be from 1 to 8, not 50"):
        ask(studio.imagine.dreams.replay, {"token": packed(greedy)})


def test_another_result_is_admitted(
    open_noisy: Callable[[], Studio], settings: dict[str, Any]
) -> None:
    studio = open_noisy()
    dream = ask(studio.imagine.dreams.open, settings)["dream"]
    ask(studio.imagine.dreams.act, {"dream": dream, "action": "chunk"})
    record = read_token(ask(studio.imagine.dreams.permalink, {"dream": dream})["token"])
    found = ask(
        studio.imagine.dreams.replay, {"token": packed(record | {"seed": record["seed"] + 1})}
    )
    assert not found["exact"]


def test_a_link_survives_an_episode_that_was_renamed(
    open_noisy: Callable[[], Studio], settings: dict[str, Any]
) -> None:
    studio = open_noisy()
    dream = adventure(studio, settings)
    episode = studio.cabinet.trajectories.get(
        ask(studio.imagine.dreams.save, {"dream": dream})["episode"]
    )
    assert token(dataclasses.replace(episode, id="other")) == token(episode)


class Rounding(AddingWorldModel):
    """Frames differ by how many were decoded at once, as convolutions round."""

    def decode(self, latents: Tensor) -> Tensor:
        return super().decode(latents) + 0.01 * self.micro_batch


def load_rounding(directory: Path, placement: Placement | None = None) -> Any:
    if directory.name != "world":
        return load_noisy(directory, placement)
    return Rounding(context_frames=4, chunk_size=8, action_dim=4, side=64, noise=0.3)


def test_a_new_dream_decodes_its_chunk_at_once_and_an_old_one_as_it_did(
    make_studio: Callable[..., Studio], settings: dict[str, Any]
) -> None:
    def open_rounding() -> Studio:
        return make_studio(models=Models(load_rounding))

    studio = open_rounding()
    dream = adventure(studio, settings)
    record = read_token(ask(studio.imagine.dreams.permalink, {"dream": dream})["token"])
    assert record["micro_batches"]["autoencoder"] == 8  # the chunk; the checkpoint's own is 16
    stored = record | {"micro_batches": {"autoencoder": 16, "reward_model": 8}}
    older = {name: value for name, value in record.items() if name != "micro_batches"}
    played = []
    for told in (record, stored, older):
        found = ask(studio.imagine.dreams.replay, {"token": packed(told)})
        played.append(ask(studio.imagine.dreams.permalink, {"dream": found["dream"]})["token"])
        assert found["exact"] == (told is record)
    assert played[1] == played[2]
    fresh = open_rounding()
    assert all(ask(fresh.imagine.dreams.replay, {"token": link})["exact"] for link in played)


REPLAY = """
import json, sys
from pathlib import Path
from app.studio import Studio
from app.web.questions import ask
from storage.workspace import open_workspace
studio = Studio(open_workspace(Path(sys.argv[1])), demo=Path(sys.argv[2]), supervise=False)
found = ask(studio.imagine.dreams.replay, {"token": sys.argv[3]})
seen = ask(studio.imagine.dreams.pull, {"dream": found["dream"]})
print(json.dumps(seen | {"exact": found["exact"]}))
studio.close()
"""


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_real_models_replay_bit_for_bit_in_a_fresh_process(tmp_path: Path) -> None:
    demo = build_demo(tmp_path / "demo")
    studio = Studio(open_workspace(tmp_path / "here"), demo=demo, supervise=False)
    dream = adventure(
        studio,
        {
            "policy": "demo/policy",
            "world_model": "demo/world",
            "reward_model": "demo/reward",
            "start_id": REAL_START,
            "seed": 5,
            "horizon": 32,
        },
    )
    link = ask(studio.imagine.dreams.permalink, {"dream": dream})["token"]
    seen = ask(studio.imagine.dreams.pull, {"dream": dream})
    studio.close()
    command = [sys.executable, "-c", REPLAY, str(tmp_path / "there"), str(demo), link]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    again = json.loads(output.splitlines()[-1])
    assert again["exact"]
    for name in ("frames", "actions", "overridden", "probabilities", "entropy"):
        assert again[name] == seen[name], name
