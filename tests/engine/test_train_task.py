"""The chain from recordings to an improved policy, at the smallest size."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.checkpoints.checkpoint import read_json
from engine.data.starts import load_starts
from engine.jobs.train_task.recipe import STAGES
from engine.loading.models import check_same_actions
from engine.records.episodes import index_id, list_episodes, read_episode
from engine.records.events import read_run_events
from engine.records.label_set import LABELS, SetLabel, content_hash, encode_labels
from engine.records.tasks import get_task
from tests.engine.recordings.datasets import films, lerobot_v3
from tests.engine.tiny import AUTOENCODER, POLICY, REWARD, TRANSFORMER, do

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

TINY_POLICY = {
    **POLICY,
    "action_dim": 3,
    "dino": {**POLICY["dino"], "image_size": 32},
    "siglip": {**POLICY["siglip"], "image_size": 32},
}
FIT = {"steps": 2, "warmup_steps": 1, "log_every": 1, "checkpoint_every": 2}
CHANGES: dict[str, Any] = {
    "autoencoder": {"model": AUTOENCODER, "fit": FIT, "batch_size": 4},
    "policy": {"model": TINY_POLICY, "fit": FIT, "batch_size": 4},
    "world_model": {"transformer": {**TRANSFORMER, "action_dim": 3}, "fit": FIT, "batch_size": 4},
    "alignment": {"fit": FIT, "batch_size": 4},
    "reward_model": {"model": {**REWARD, "image_size": 32}, "fit": FIT, "batch_size": 4},
}


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six recordings that nobody judged."""
    monkeypatch.setenv("WMPO_DATA_DIR", str(tmp_path / "data"))
    dataset = lerobot_v3(tmp_path / "set", (18,) * 6, images=True)
    do("import_recordings", tmp_path / "drawer", dataset=str(dataset), new_task="drawer")
    return tmp_path / "drawer"


def labelled(run: Path, root: Path) -> dict[str, Any]:
    """What a person says of the recordings: every third failed."""
    labels = [
        SetLabel(
            episode_id=index_id(run.name, path.name),
            task="drawer",
            start_id=read_episode(path).start_id,
            imagined=False,
            run=run.name,
            success=number % 3 != 2,
            end_step=12,
        )
        for number, path in enumerate(list_episodes(run / "episodes"))
    ]
    content = encode_labels(labels)
    frozen = root / content_hash(content)
    frozen.mkdir(parents=True)
    (frozen / LABELS).write_bytes(content)
    return {"label_set": str(frozen), "labelled_from": [str(run)]}


def test_recordings_that_nobody_judged_teach_no_reward_and_say_so(
    recorded: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"stage reward_model \(train_reward\): nobody has said"):
        do(
            "train_task",
            tmp_path / "chain",
            episodes_from=[str(recorded)],
            size="quick look",
            changes=CHANGES,
        )


def test_from_recordings_and_labels_to_a_policy_that_dreamt(recorded: Path, tmp_path: Path) -> None:
    """The labels alone say what succeeded; dreams begin from the recordings' first frames."""
    label_set = tmp_path / "labels"
    said = labelled(recorded, label_set)
    options: dict[str, Any] = {
        "episodes_from": [str(recorded)],
        "rollouts_from": [str(recorded)],
        "size": "quick look",
        "changes": CHANGES,
        **said,
    }
    metrics = do("train_task", tmp_path / "chain", **options)
    assert metrics is not None
    stages = tmp_path / "chain" / "stages"
    assert {path.name for path in stages.iterdir()} == set(STAGES)
    card = read_json(max((stages / "reward_model/checkpoints").iterdir()) / "card.json")
    assert "labelled clips" in card["labels"]
    assert card["tasks"] == {"drawer": get_task("drawer").version}
    policy, world = (max((stages / n / "checkpoints").iterdir()) for n in ("policy", "alignment"))
    check_same_actions(policy, world)  # though the policy has not seen all recordings
    cloned = read_json(policy / "card.json")
    assert cloned["data"] == {"drawer expert (recordings)": 4}
    starts = load_starts(tmp_path / "chain" / "starts.npz")
    assert (starts.task, starts.frames.shape) == ("drawer", (6, 32, 32, 3))
    dreamt = [read_episode(path) for path in list_episodes(stages / "optimise/episodes")]
    assert dreamt and all(e.task == "drawer" and e.imagined for e in dreamt)
    first = {frame.tobytes() for frame in starts.frames}
    assert all(e.frames[0].tobytes() in first for e in dreamt)
    np.testing.assert_array_less(0, [len(e.actions) for e in dreamt])
    again = do("train_task", tmp_path / "chain", **options)
    assert again == metrics
    events = list(read_run_events(tmp_path / "chain" / "events.jsonl"))
    alarms = [e["message"] for e in events if e["kind"] == "alarm"]
    flat = metrics["optimise/rollout/success_rate"] in (0.0, 1.0)
    assert [text[:34] for text in alarms] == ["optimise, iteration 1: nothing was"] * flat
    told = [(e["stage"], e["episode"]) for e in events if e["kind"] == "episode"]
    assert sorted(told) == sorted(("optimise", episode.id) for episode in dreamt)


def test_recordings_of_two_tasks_are_no_chain(recorded: Path, tmp_path: Path) -> None:
    dataset = films(tmp_path / "films", (12,))
    do("import_recordings", tmp_path / "pour", dataset=str(dataset), new_task="pour",
       plan={"instruction": "pour", "camera": "video"})  # fmt: skip
    with pytest.raises(ValueError, match="several tasks: drawer, pour"):
        do("train_task", tmp_path / "chain", episodes_from=[str(recorded), str(tmp_path / "pour")])
    with pytest.raises(ValueError, match="of drawer, not of coffee-push"):
        do("train_task", tmp_path / "chain", episodes_from=[str(recorded)], task="coffee-push")
