"""Fidelity runs: their pairs by depth and cell, what is refused, and the shipped sample."""

import base64
import io
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.live.simulator import Simulator
from app.studio import Studio
from app.web.questions import ask
from engine.jobs.gates.report import report
from engine.records.manifest import write_manifest
from engine.records.types import Outcome, Trajectory
from engine.runs.run_directory import RunDirectory
from storage.workspace import Workspace
from tests.app.conftest import OPTIMISE
from tests.fakes import CountingEnv

QUERY: dict[str, Any] = {
    "world_model": "demo/world",
    "reward_model": "demo/reward",
    "policy": "demo/base",
    "baseline_world_model": "",
    "task": "coffee-push",
    "pool": "calibration",
    "first_start": 0,
    "episodes": 10,
    "temperature": 1.0,
    "denoising_steps": 4,
}
# (real end step or None, imagined end step or None, PSNR at every frame)
PAIRS = [(6, 12, 20.0), (None, 4, 10.0), (None, None, 30.0)]
# What had happened by frames 8 and 16: at 8 nothing of the failures was decided yet.
MATRIX = [
    {"depth": 8, "true_success": 0, "false_success": 1, "false_failure": 1, "true_failure": 1},
    {"depth": 16, "true_success": 1, "false_success": 1, "false_failure": 0, "true_failure": 1},
]


class Nowhere(Simulator):
    """A machine that cannot render."""

    @property
    def missing(self) -> str:
        return "no simulator here"


@pytest.fixture
def studio(make_studio: Callable[..., Studio]) -> Studio:
    return make_studio(simulator=Simulator(CountingEnv))


@pytest.fixture
def compared(
    workspace: Workspace,
    make_studio: Callable[..., Studio],
    make_trajectory: Callable[..., Trajectory],
) -> Studio:
    """A studio with a finished fidelity run of three pairs, one of whose real episodes is there."""
    directory = workspace.runs / "fid"
    run = RunDirectory(directory)
    (directory / "config.json").write_text(json.dumps({"job": "fidelity", "config": {}}))
    run.record(make_trajectory("real-0", imagined=False, lineage={"use": "calibration"}))
    for number, (real, imagined, quality) in enumerate(PAIRS):
        lineage = {
            "source": "fidelity",
            "real": f"real-{number}",
            "real_run": "fid",
            "real_success": real is not None,
            "real_end_step": real or 16,
            "psnr": [quality] * 16,
            "onset": None if imagined is None else imagined - 2,
            "threshold": 0.5,
        }
        outcome = Outcome(imagined is not None, imagined or 16)
        run.record(make_trajectory(f"pair-{number}", outcome=outcome, lineage=lineage))
    curves = {"chunk_size": 8, "matrix": {"imagined": MATRIX}}
    run.result({"fidelity/mean_imagined_psnr": 20.0, "curves": curves, "notes": ["n"]})
    run.state("done")
    run.close()
    return make_studio(simulator=Simulator(CountingEnv))


def ids(found: dict[str, Any]) -> list[str]:
    return [pair["imagined"] for pair in found["pairs"]]


def test_a_point_opens_its_pairs_the_worst_first_at_its_frame(compared: Studio) -> None:
    found = ask(compared.fidelity.fidelity.pairs, {"run": "fid", "depth": 9})
    assert ids(found) == ["fid.pair-1", "fid.pair-0", "fid.pair-2"]
    first, second, _ = found["pairs"]
    assert (first["frame"], first["real"], second["real"]) == (9, None, "fid.real-0")
    assert second["text"] == (
        "really succeeded, judged a success, 20.0 dB at frame 9, apart from frame 10"
    )
    assert (first["cell"], first["onset"], first["end_step"]) == ("false_success", 2, 4)
    assert ids(ask(compared.fidelity.fidelity.pairs, {"run": "fid", "outcome": "success"})) == [
        "fid.pair-0"
    ]
    assert ids(ask(compared.fidelity.fidelity.pairs, {"run": "fid", "depth": 17})) == []


def test_a_pair_whose_reality_nobody_judged_stands_in_no_cell(
    workspace: Workspace,
    make_studio: Callable[..., Studio],
    make_trajectory: Callable[..., Trajectory],
) -> None:
    with closing(RunDirectory(workspace.runs / "fid")) as run:
        (run.directory / "config.json").write_text(json.dumps({"job": "fidelity", "config": {}}))
        for name, real in (("known", False), ("unknown", None)):
            lineage = {"source": "fidelity", "real": name, "real_run": "x", "real_success": real}
            outcome = Outcome(True, 8)
            run.record(make_trajectory(name, outcome=outcome, lineage=lineage | {"threshold": 0.5}))
        run.state("done")
    studio = make_studio(simulator=Simulator(CountingEnv))
    found = ask(studio.fidelity.fidelity.pairs, {"run": "fid"})
    assert {pair["imagined"]: pair["cell"] for pair in found["pairs"]} == {
        "fid.known": "false_success",
        "fid.unknown": None,
    }
    assert found["pairs"][1]["text"].startswith("nobody said how it ended, judged a success")
    for outcome, there in (("failure", ["fid.known"]), ("success", [])):
        assert ids(ask(studio.fidelity.fidelity.pairs, {"run": "fid", "outcome": outcome})) == there


def test_a_cell_of_the_matrix_opens_what_had_happened_by_its_depth(compared: Studio) -> None:
    def cell(name: str, depth: int) -> list[str]:
        return ids(
            ask(compared.fidelity.fidelity.pairs, {"run": "fid", "cell": name, "depth": depth})
        )

    assert cell("false_failure", 8) == ["fid.pair-0"]
    assert cell("true_success", 16) == ["fid.pair-0"]
    assert cell("false_success", 8) == ["fid.pair-1"]
    assert ask(compared.fidelity.fidelity.pairs, {"run": "fid", "model": "baseline"}) == {
        "pairs": []
    }


def test_a_run_gives_its_curves_and_an_unfinished_one_says_so(
    compared: Studio, workspace: Workspace
) -> None:
    found = ask(compared.fidelity.fidelity.results, {"run": "fid"})
    assert (found["curves"]["chunk_size"], found["videos"], found["notes"]) == (8, True, ["n"])
    lies = found["lies"]["imagined"]
    assert (lies["count"], lies["failures"]) == (1, 2)  # at the last frame, of the failures alone
    assert lies["interval"] == pytest.approx([0.0945, 0.9055], abs=1e-3)
    assert found["metrics"] == {"fidelity/mean_imagined_psnr": 20.0}
    run = ask(compared.fidelity.fidelity.start, QUERY)["run"]
    with pytest.raises(ValueError, match="is queued: its numbers come when it is done"):
        ask(compared.fidelity.fidelity.results, {"run": run})
    told = compared.fidelity.fidelity.runs()["runs"]
    assert [(one["id"], one["phase"], one["total"]) for one in told] == [
        (run, "", 0),
        ("fid", "", 0),
    ]
    log = RunDirectory(workspace.runs / run)
    log.state("running")
    log.phase("imagining and comparing")
    log.close()
    compared.cabinet.ingest.ingest(run)
    told = compared.fidelity.fidelity.runs()["runs"]
    assert [(one["id"], one["phase"]) for one in told] == [
        (run, "imagining and comparing"),
        ("fid", ""),
    ]


def test_a_model_that_learnt_from_the_starts_is_refused_before_anything_runs(
    studio: Studio, demo: Path
) -> None:
    assert ask(studio.fidelity.fidelity.plan, QUERY)["seconds"] > 10
    assert studio.fidelity.fidelity.choices()["unaligned"] == []
    world = demo / "checkpoints" / "world"
    (world / "card.json").write_text(json.dumps({"starts": [[400_009, 400_020]]}))
    write_manifest(world)
    with pytest.raises(ValueError, match="the world model learnt from 1 of the 10 starts"):
        ask(studio.fidelity.fidelity.plan, QUERY)
    with pytest.raises(ValueError, match="demo/base is no world model"):
        ask(studio.fidelity.fidelity.plan, QUERY | {"baseline_world_model": "demo/base"})


def test_recordings_take_the_place_of_episodes_played(
    workspace: Workspace, make_studio: Callable[..., Studio]
) -> None:
    """No simulator and no policy is needed; what people said of them counts."""
    with closing(RunDirectory(workspace.runs / "taken")) as run:
        config = {"job": "import_recordings", "config": {"dataset_name": "drawer", "dataset": "x"}}
        (run.directory / "config.json").write_text(json.dumps(config))
        run.result({"import/episodes": 24})
        run.state("done")
    studio = make_studio(simulator=Nowhere())
    fidelity = studio.fidelity.fidelity
    assert fidelity.choices()["recordings"] == [["drawer · 24", "taken"]]
    assert fidelity.choices()["refusal"] == ""
    with pytest.raises(ValueError, match="no simulator here"):
        ask(fidelity.plan, QUERY)
    question = {name: value for name, value in QUERY.items() if name != "policy"}
    begun = ask(fidelity.start, question | {"recordings": "taken"})["run"]
    told = json.loads((workspace.runs / begun / "config.json").read_text())["config"]
    assert told["episodes_from"] == [str(workspace.runs / "taken")]
    assert (told["policy"], told["label_set"]) == ("", "")
    with pytest.raises(ValueError, match="it took no recordings in"):
        ask(fidelity.start, question | {"recordings": begun})


def test_a_world_model_without_the_rollouts_is_offered_for_the_ablation(
    make_studio: Callable[..., Studio], demo: Path
) -> None:
    card = {"data": {"coffee-push expert (demonstrations)": 9}, "lineage": {}}
    (demo / "checkpoints" / "world" / "card.json").write_text(json.dumps(card))
    write_manifest(demo / "checkpoints" / "world")
    assert make_studio().fidelity.fidelity.choices()["unaligned"] == ["demo/world"]


def test_a_pair_is_a_film_of_dream_and_reality_side_by_side(compared: Studio) -> None:
    question = {"run": "fid", "pairs": ["fid.pair-0", "fid.pair-1", "nobody"]}
    films = ask(compared.fidelity.fidelity.films, question)["films"]
    assert list(films) == ["fid.pair-0"]  # the real half of the other is not here
    film = Image.open(io.BytesIO(base64.b64decode(films["fid.pair-0"].split(",")[1])))
    assert film.size == (12 * 2 * 8, 8)


def test_the_shipped_sample_stands_where_nothing_was_measured(
    make_studio: Callable[..., Studio], demo: Path
) -> None:
    sample = {"models": {"world_model": "demo/world"}, "metrics": {}, "curves": None, "notes": []}
    (demo / "fidelity").mkdir()
    (demo / "fidelity" / "mug.json").write_text(json.dumps(sample))
    fidelity = make_studio(simulator=Simulator(CountingEnv)).fidelity.fidelity
    assert [run["state"] for run in fidelity.runs()["runs"]] == ["sample"]
    expected = {"run": "sample-mug", "videos": False, "lies": {}, "gates": None, **sample}
    assert ask(fidelity.results, {"run": "sample-mug"}) == expected
    assert ask(fidelity.pairs, {"run": "sample-mug"}) == {"pairs": []}
    assert np.isclose(ask(fidelity.plan, QUERY)["seconds"], 15.0 + 10 * 3.85)


def test_a_world_model_is_compared_on_its_own_task(
    make_studio: Callable[..., Studio], demo: Path
) -> None:
    (demo / "checkpoints" / "world" / "card.json").write_text('{"task": "plate-slide"}')
    write_manifest(demo / "checkpoints" / "world")
    fidelity = make_studio(simulator=Simulator(CountingEnv)).fidelity.fidelity
    with pytest.raises(ValueError, match="was made for plate-slide, not for coffee-push"):
        ask(fidelity.plan, QUERY)
    assert ask(fidelity.plan, QUERY | {"task": "plate-slide"})["seconds"] > 0


def test_the_gates_of_shipped_models_are_known_to_preflight_and_fidelity(
    make_studio: Callable[..., Studio], demo: Path
) -> None:
    studio = make_studio()
    models = {"world_model": "demo/world", "reward_model": "demo/reward"}
    hashes = {role: studio.cabinet.checkpoints.get(name).hash for role, name in models.items()}
    share = {"value": 0.1, "count": 2, "of": 20, "low": 0.03, "high": 0.3}
    (demo / "gates").mkdir()
    document = report({"held out": {"missed": share}}, hashes)
    (demo / "gates" / "mug.json").write_text(json.dumps(document))
    sample = {"models": models, "metrics": {}, "curves": None, "notes": []}
    (demo / "fidelity").mkdir()
    (demo / "fidelity" / "mug.json").write_text(json.dumps(sample))
    found = studio.train.training.look("optimise", OPTIMISE)["checks"]
    [told] = [check for check in found if check["name"] == "gates"]
    assert (told["ok"], told["text"]) == (True, "All 1 gates were passed.")
    [gate] = ask(studio.fidelity.fidelity.results, {"run": "sample-mug"})["gates"]
    assert (gate["on"], gate["count"], gate["of"], gate["passed"]) == ("held out", 2, 20, True)
    assert gate["interval"] == [0.03, 0.3]
