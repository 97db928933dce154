"""Recordings on the Data page, without a browser: looked at, planned, and given to a run."""

import base64
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.studio import Studio
from app.web.questions import ask
from engine.runs.registry import run_job
from engine.runs.run_directory import RunDirectory
from storage.workspace import Workspace
from tests.app.test_data import done
from tests.engine.recordings.datasets import lerobot_v3
from tests.storage.source_server import Repository, SourceServer

CASES = Path(__file__).parents[1] / "golden" / "recordings"


def looked_at(studio: Studio, path: Path, state: str = "done") -> dict[str, Any]:
    """The errand that looked at a file that was sent."""
    data = base64.b64encode(path.read_bytes()).decode()
    upload = ask(studio.data.handover.take, {"data": data})["upload"]
    question = {"upload": upload, "name": path.name}
    return done(studio, ask(studio.data.recordings.look, question), state)


def test_a_file_is_looked_at_planned_and_given_to_a_run_that_keeps_it(
    studio: Studio, tmp_path: Path
) -> None:
    recordings = studio.data.recordings
    found = looked_at(studio, CASES / "odd_two_cameras.hdf5")["result"]
    assert (found["kind"], found["episodes"], found["unknown"]) == ("robomimic HDF5", 1, 0)
    assert len(found["strips"]) == len(found["views"]) == 2
    question: dict[str, Any] = {"dataset": found["dataset"], "task": "coffee-push"}
    assert "several cameras" in ask(recordings.intend, question)["open"]
    with pytest.raises(ValueError, match="several cameras"):
        ask(recordings.take, question)
    question["plan"] = {"camera": "robot0_agentview_left_image", "success": "nobody yet"}
    told = ask(recordings.intend, question)
    assert told["open"] == "" and "unknown until somebody labels it" in told["words"][-1]
    run = ask(recordings.take, question)["run"]
    assert ask(recordings.taken, {"run": run})["job"] == "import_recordings"
    directory = studio.cabinet.runs.directory(run)
    config = json.loads((directory / "config.json").read_text())["config"]
    assert Path(config["dataset"]).read_bytes() == (CASES / "odd_two_cameras.hdf5").read_bytes()
    assert (config["dataset_name"], config["task"]) == ("odd_two_cameras.hdf5", "coffee-push")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("low_dim", "there are no pictures"),
        ("odd_nan_reward", "data/demo_7/rewards, row 0: the reward is not a number"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(studio: Studio, name: str, sentence: str) -> None:
    assert sentence in looked_at(studio, CASES / f"{name}.hdf5", "failed")["error"]


def test_actions_of_another_size_are_offered_as_a_new_task(studio: Studio) -> None:
    found = looked_at(studio, CASES / "odd_seven.hdf5")["result"]
    question: dict[str, Any] = {"dataset": found["dataset"], "task": "coffee-push"}
    answer = ask(studio.data.recordings.intend, question)
    assert "7 action dimensions, the task coffee-push 4" in answer["open"]
    question = {"dataset": found["dataset"], "new_task": "seven", "plan": {"instruction": "go"}}
    assert ask(studio.data.recordings.intend, question)["open"] == ""


def test_a_dataset_that_is_here_already_is_not_taken_in_twice(
    workspace: Workspace, make_studio: Callable[..., Studio], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WMPO_DATA_DIR", str(workspace.root))
    options = {"new_task": "own", "plan": {"instruction": "go"}}
    with closing(RunDirectory(workspace.runs / "before")) as run:
        config = {"job": "import_recordings", "config": {}}
        (run.directory / "config.json").write_text(json.dumps(config))
        whole = {"dataset": str(CASES / "demo.hdf5"), **options}
        run.result(run_job("import_recordings", whole, run) or {})
        run.state("done")
    studio = make_studio()
    recordings, found = studio.data.recordings, looked_at(studio, CASES / "demo.hdf5")["result"]
    question: dict[str, Any] = {"dataset": found["dataset"], **options}
    told = ask(recordings.intend, question)
    assert (told["run"], told["open"].split(":")[0]) == (
        "before",
        "all of it came in already, in the same way",
    )
    with pytest.raises(ValueError, match="came in already"):
        ask(recordings.take, question)
    (workspace.runs / "before" / "documents" / "report.json").unlink()  # read once for all choices
    assert ask(recordings.intend, question)["run"] == "before"
    for change in ({"new_task": "other"}, {"plan": {"instruction": "go", "turn": "half turn"}}):
        told = ask(recordings.intend, question | change)
        assert (told["run"], told["open"]) == ("", "")


def test_a_dataset_of_the_hub_comes_at_the_revision_that_is_named(
    tmp_path: Path, make_studio: Callable[..., Studio], monkeypatch: pytest.MonkeyPatch
) -> None:
    web, repository = SourceServer(), Repository()
    web.repositories["someone/drawer"] = repository
    commits = [
        repository.commit(
            {
                path.relative_to(root).as_posix(): path.read_bytes()
                for path in root.rglob("*")
                if path.is_file()
            }
        )
        for root in (
            lerobot_v3(tmp_path / str(count), (4,) * count, images=True) for count in (2, 3)
        )
    ]
    studio = make_studio(rules=web.rules)
    monkeypatch.setenv("WMPO_DATA_DIR", str(studio.cabinet.workspace.root))
    recordings, source = studio.data.recordings, "hf://datasets/someone/drawer"
    for revision, count in ((commits[0], 2), ("main", 3)):
        begun = ask(recordings.look, {"path": f"{source}@{revision}"})
        found = done(studio, begun)["result"]
        commit = commits[count - 2]
        assert (found["name"], found["episodes"], found["revision"]) == (
            "drawer",
            count,
            commit[:12],
        )
        run = ask(recordings.take, {"dataset": found["dataset"], "new_task": f"drawer-{count}"})
        config = studio.cabinet.runs.get(run["run"]).config
        assert config["revision"] == commit
        assert (Path(config["dataset"]) / "meta" / "info.json").is_file()
    gone = done(studio, ask(recordings.look, {"path": f"{source}s"}), "failed")
    assert "someone/drawers is not on the Hub" in gone["error"]
    web.end()


def test_a_dataset_nobody_looked_at_is_no_dataset(studio: Studio) -> None:
    with pytest.raises(LookupError, match="choose it again"):
        ask(studio.data.recordings.intend, {"dataset": "nothing"})
    with pytest.raises(ValueError, match="the whole path"):
        ask(studio.data.recordings.look, {"path": "somewhere"})
