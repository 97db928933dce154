"""Dreams beside their real twins: with a simulator known by hand, and with the real one."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.live.simulator import Simulator
from app.studio import Studio
from app.web.questions import ask
from engine.envs.gl import MISSING, rendering_backend
from engine.records.ledger import read_ledger
from engine.records.tasks import Task
from engine.records.types import Outcome, Trajectory
from storage.workspace import Workspace, open_workspace
from tests.app.conftest import START
from tests.fakes import CountingEnv


class Brightening(CountingEnv):
    """What the fake dream shows: 31.875 grey levels more a step; achieved in step 20."""

    def __init__(self, task: Task) -> None:
        super().__init__(task, succeed_at=20)

    def render(self) -> np.ndarray:
        return np.full((64, 64, 3), min(255, round(31.875 * self.steps)), np.uint8)


class Nowhere(Simulator):
    """A machine that cannot render."""

    @property
    def missing(self) -> str:
        return MISSING


@pytest.fixture
def studio(make_studio: Callable[..., Studio]) -> Studio:
    return make_studio(simulator=Simulator(Brightening))


def twin_dream(studio: Studio, query: dict[str, Any]) -> dict[str, Any]:
    return studio.episodes.twins.of(ask(studio.imagine.dreams.trajectory, query))


def dreamt(studio: Studio, settings: dict[str, Any], chunks: int = 2) -> str:
    dream = ask(studio.imagine.dreams.open, settings)["dream"]
    for _ in range(chunks):
        ask(studio.imagine.dreams.act, {"dream": dream, "action": "chunk"})
    return dream


def test_a_dream_is_laid_beside_reality_frame_by_frame(
    studio: Studio, settings: dict[str, Any], workspace: Workspace
) -> None:
    dream = dreamt(studio, settings)
    found = twin_dream(studio, {"dream": dream})
    # After two actions reality shows 64 of 255, the dream 31.
    assert found["psnr"][0] == 100.0
    assert found["psnr"][2] == pytest.approx(20 * np.log10(255 / 33), abs=0.01)
    # Means of eight frames: 0.21 and 0.44 by frame 7, then a quarter apart for good.
    assert found["same_start"] and found["onset"] == 8
    assert (found["imagined"], found["real"]) == (
        {"success": True, "end_step": 14},
        {"success": False, "end_step": 16},
    )
    assert found["judged_real"]["success"]
    clip = ask(studio.episodes.clips.clip, {"episode": found["twin"]})
    assert (len(clip["frames"]), clip["imagined"], clip["success"]) == (17, False, False)
    assert clip["actions"] == ask(studio.imagine.dreams.pull, {"dream": dream})["actions"]
    [entry] = read_ledger(workspace.twins)
    assert (entry["use"], entry["start_id"], entry["episode"]) == ("twin", START, found["twin"])


def test_a_twin_is_played_and_counted_once(
    studio: Studio, settings: dict[str, Any], workspace: Workspace
) -> None:
    episode = ask(studio.imagine.dreams.save, {"dream": dreamt(studio, settings)})["episode"]
    first, second = (
        ask(studio.episodes.twins.of_episode, {"episode_id": episode}) for _ in range(2)
    )
    assert first == second
    assert len(read_ledger(workspace.twins)) == 1


def test_a_dream_from_the_middle_of_a_real_episode_has_a_twin_too(
    studio: Studio, settings: dict[str, Any], make_trajectory: Callable[..., Trajectory]
) -> None:
    frames = np.stack(
        [np.full((64, 64, 3), min(255, round(31.875 * n)), np.uint8) for n in range(9)]
    )
    real = make_trajectory(
        "real-1",
        imagined=False,
        outcome=Outcome(False, 8),
        frames=frames,
        actions=np.full((8, 4), 0.5, np.float32),
        arrays={},
    )
    studio.cabinet.trajectories.add(real)
    del settings["start_id"]
    dream = dreamt(studio, settings | {"from": {"episode": "real-1", "frame": 3}}, chunks=1)
    found = twin_dream(studio, {"dream": dream})
    twin = studio.cabinet.trajectories.get(found["twin"])
    assert (found["first_frame"], len(twin.actions), found["same_start"]) == (3, 11, True)
    assert twin.actions[:3].tolist() == [[0.5] * 4] * 3


def test_what_has_no_twin_says_why(
    studio: Studio,
    settings: dict[str, Any],
    make_studio: Callable[..., Studio],
    make_trajectory: Callable[..., Trajectory],
) -> None:
    upload = studio.imagine.starts.add_upload(np.full((64, 64, 3), 9, np.uint8))
    with pytest.raises(ValueError, match="starts from a picture, not from a state"):
        twin_dream(studio, {"dream": dreamt(studio, settings | {"start_id": upload}, chunks=1)})
    with pytest.raises(ValueError, match="nothing was imagined yet"):
        twin_dream(studio, {"dream": ask(studio.imagine.dreams.open, settings)["dream"]})
    studio.cabinet.trajectories.add(make_trajectory("real-2", imagined=False))
    with pytest.raises(ValueError, match="real-2 is a real episode itself"):
        ask(studio.episodes.twins.of_episode, {"episode_id": "real-2"})
    blind = make_studio(simulator=Nowhere())
    with pytest.raises(ValueError, match="rendering is impossible here"):
        twin_dream(blind, {"dream": dreamt(blind, settings, chunks=1)})


def test_pairs_of_a_fidelity_run_make_a_matrix_and_a_calibration_curve(
    studio: Studio, make_trajectory: Callable[..., Trajectory]
) -> None:
    verdicts = [(True, True, 0.95), (True, True, 0.91), (True, False, 0.45), (False, False, 0.05)]
    studio.cabinet.trajectories.add(make_trajectory("real-0", imagined=False))
    for number, (real, imagined, probability) in enumerate(verdicts):
        studio.cabinet.trajectories.add(
            make_trajectory(
                f"pair-{number}",
                outcome=Outcome(imagined, 12),
                arrays={
                    "window_ends": np.array([8]),
                    "window_probabilities": np.array([probability], np.float32),
                },
                lineage={
                    "source": "fidelity",
                    "run": "fidelity-1",
                    "real": f"real-{number}",
                    "real_run": "held-out",
                    "real_success": real,
                    "threshold": 0.5,
                    "created": 1_000.0,
                },
            )
        )
    found = ask(studio.episodes.twins.matrix, {"run": "fidelity-1"})
    sizes = {name: len(cell) for name, cell in found["cells"].items()}
    assert sizes == {
        "true_success": 2,
        "false_success": 0,
        "false_failure": 1,
        "true_failure": 1,
    }
    assert found["cells"]["true_success"][0] == {
        "imagined": "pair-0",
        "real": "real-0",
        "probability": 0.95,
    }
    assert found["cells"]["true_failure"][0]["real"] is None
    assert (found["agreement"], found["threshold"]) == (0.75, 0.5)
    last = found["calibration"][9]
    assert (last["count"], last["real_rate"]) == (2, 1.0)
    assert last["mean_probability"] == pytest.approx(0.93)
    assert found["calibration"][4]["real_successes"] == 1
    cell = {"run": "fidelity-1", "kind": "imagined", "verdict": "fail", "truth": "success"}
    assert [one["id"] for one in ask(studio.episodes.gallery.find, cell)["episodes"]] == ["pair-2"]
    assert ask(studio.episodes.gallery.find, {"truth": "fail"})["total"] == 1
    with pytest.raises(ValueError, match="other has no pairs of real and imagined"):
        ask(studio.episodes.twins.matrix, {"run": "other"})


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_real_episode_s_actions_lead_to_its_own_frames_again(tmp_path: Path) -> None:
    if rendering_backend() is None:
        pytest.fail(MISSING)
    demo = tmp_path / "demo"
    shutil.copytree("storage/demo/episodes", demo / "episodes")
    studio = Studio(open_workspace(tmp_path / "data"), demo=demo, supervise=False)
    real = studio.cabinet.trajectories.get("coffee-push-policy-401000-0")
    task = studio.imagine.starts.task
    frames, end_step = studio.simulator.play(task, real.start_id, real.actions)
    np.testing.assert_array_equal(frames, real.frames)
    assert (end_step is not None) == real.outcome.success
    imagined = studio.episodes.gallery.records(imagined=True, limit=1)[0]
    found = ask(studio.episodes.twins.of_episode, {"episode_id": imagined["id"]})
    assert found["same_start"]
    assert len(found["psnr"]) == imagined["num_actions"] + 1
    assert min(found["psnr"][1:]) > 10.0
    page = ask(studio.imagine.starts.find, {"pool": "test", "offset": 0, "limit": 2})
    assert [start["start_id"] for start in page["starts"]] == [1_000_000, 1_000_001]
    studio.close()
