"""The judged clips that come with the studio: they load, and they are what the report says."""

import json
from collections import Counter
from pathlib import Path

import pytest

from app.imagine.permalinks import ROLES, read_token
from app.studio import Studio
from storage.cabinet import open_cabinet
from storage.checkpoints.catalogue import Checkpoint
from storage.events.labels import LabelEvent
from storage.workspace import Workspace
from studies.judged import DEMO, LABELS, is_gold, read_clips, restore

FOLDER = DEMO / "judged"
CLIPS = read_clips(FOLDER)
RECORD = json.loads((FOLDER / "clips.json").read_text())


def events(path: Path) -> dict[str, LabelEvent]:
    found = [LabelEvent.from_dict(json.loads(line)) for line in path.read_text().splitlines()]
    return {event.label.episode_id: event for event in found}


def test_labels_are_taken_into_an_empty_studio_once(studio: Studio) -> None:
    data, take_in = (FOLDER / LABELS).read_bytes(), studio.episodes.exports.take_in_log
    first, again = (take_in("labels", "jsonl", data, dry_run=False) for _ in range(2))
    assert first == {"added": 160, "known": 0, "problems": []}
    assert again == {"added": 0, "known": 160, "problems": []}
    said = Counter(event.label.outcome for event in events(FOLDER / LABELS).values())
    counts = studio.episodes.judging.labels.counts()
    assert counts["labelled"] == 160
    assert {name: counts[str(name)] for name in said} == said


def test_every_clip_was_judged_blind_and_some_a_second_time() -> None:
    first, second = events(FOLDER / LABELS), events(FOLDER / "second_look.jsonl")
    assert first.keys() == {clip.episode_id for clip in CLIPS}
    assert len(second) == 40
    assert second.keys() <= first.keys()
    labels = [event.label for event in (*first.values(), *second.values())]
    assert {label.mode for label in labels} == {"blind"}
    assert Counter(label.actor for label in labels) == {"annotator-1": 160, "annotator-2": 40}


def test_clips_name_the_shipped_checkpoints(workspace: Workspace) -> None:
    cabinet = open_cabinet(workspace, demo=DEMO)
    shipped: dict[str, Checkpoint] = {found.hash: found for found in cabinet.checkpoints.all()}
    cabinet.close()
    for clip in CLIPS:
        record = read_token(clip.token)
        assert {shipped[record[role]].role for role in ROLES} == set(ROLES)
        assert shipped[record["policy"]].name == clip.policy


def test_a_third_is_gold_by_the_hash_of_its_name() -> None:
    # printf dream-4 | sha256sum begins with 36, which is 54 = 3 · 18; that of dream-0 with 3d = 61
    assert is_gold("dream-4")
    assert not is_gold("dream-0")
    assert all(clip.gold == is_gold(clip.episode_id) for clip in CLIPS)
    assert 40 <= sum(clip.gold for clip in CLIPS) <= 67


def test_weights_add_up_to_the_population() -> None:
    for name, stratum in RECORD["strata"].items():
        weights = [clip.weight for clip in CLIPS if clip.stratum == name]
        assert len(weights) == stratum["judged"]
        assert sum(weights) == pytest.approx(stratum["dreams"], rel=1e-4)
    assert sum(stratum["dreams"] for stratum in RECORD["strata"].values()) == 256


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_clip_is_imagined_again_as_it_was_judged(workspace: Workspace, tmp_path: Path) -> None:
    label = (FOLDER / LABELS).read_text().splitlines()[0]
    (tmp_path / "clips.json").write_text(json.dumps(RECORD | {"clips": RECORD["clips"][:1]}))
    (tmp_path / LABELS).write_text(label)
    cabinet = open_cabinet(workspace, demo=DEMO)
    found = restore(cabinet, tmp_path, starts=DEMO / "starts.npz")
    assert (found.clips, found.labels) == (1, 1)
    again = restore(cabinet, tmp_path, starts=DEMO / "starts.npz")
    assert (again.clips, again.labels) == (0, 0)
    row = cabinet.trajectories.find(CLIPS[0].episode_id)
    cabinet.close()
    # Other kernels round differently, so that the frames may, too; the verdict may not.
    judged = json.loads(label)["model_probability"]
    assert row.probability == pytest.approx(judged, abs=0.05)
    assert row.label is not None
    assert row.label.outcome == "fail"
