"""Sheets of real trials: drawn by a run, filled in blind, read once, with the job's numbers."""

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

from app.studio import Studio
from app.web.questions import ask
from engine.runs.registry import run_job
from engine.runs.run_directory import RunDirectory, read_documents
from engine.statistics.intervals import discordant, mcnemar_exact, wilson_interval
from storage.workspace import Workspace

POLICIES = ("base", "wmpo")
OPTIONS: dict[str, Any] = {"task": "coffee-push", "policies": list(POLICIES), "starts": 6}


def done(runs: Path, name: str, options: dict[str, Any]) -> None:
    """A run of the job that came to its end."""
    with closing(RunDirectory(runs / name)) as run:
        config = {"job": "trials", "config": options}
        (run.directory / "config.json").write_text(json.dumps(config))
        run.state("running")
        run.result(run_job("trials", options, run) or {})
        run.state("done")


@pytest.fixture
def trials(workspace: Workspace, make_studio: Callable[..., Studio]) -> Any:
    done(workspace.runs, "sheet", OPTIONS)
    return make_studio().trials.trials


def enter_all(trials: Any, codes: dict[str, str]) -> np.ndarray:
    """Outcomes [policy, start]: wmpo succeeds everywhere, base on every third start."""
    outcomes = np.zeros((2, 6), bool)
    for line in ask(trials.sheet, {"run": "sheet"})["trials"]:
        policy = codes[line["code"]]
        success = policy == "wmpo" or line["start"] % 3 == 0
        outcomes[POLICIES.index(policy), line["start"]] = success
        ask(trials.enter, {"run": "sheet", "trial": line["trial"], "success": success})
    return outcomes


def test_a_sheet_says_nothing_of_whose_a_code_is(trials: Any) -> None:
    [sheet] = trials.overview()["sheets"]
    assert (sheet["id"], sheet["trials"], sheet["entered"]) == ("sheet", 12, 0)
    found = ask(trials.sheet, {"run": "sheet"})
    assert found["results"] == [] and found["read"] is None
    told = json.dumps(found) + json.dumps(trials.overview())
    assert not any(policy in told for policy in POLICIES)


def test_an_outcome_is_kept_taken_back_and_the_key_stays_closed(trials: Any) -> None:
    entry = {"run": "sheet", "trial": 1, "success": True, "note": "slipped, but held"}
    [first, *others] = ask(trials.enter, entry)["trials"]
    assert (first["success"], first["note"]) == (True, "slipped, but held")
    assert {line["success"] for line in others} == {None}
    assert trials.overview()["sheets"][0]["entered"] == 1
    with pytest.raises(ValueError, match="trial 2 has no outcome yet: the key stays closed"):
        ask(trials.read, {"run": "sheet"})
    assert ask(trials.enter, {"run": "sheet", "trial": 1})["trials"][0]["success"] is None
    with pytest.raises(ValueError, match="no trial 13"):
        ask(trials.enter, {"run": "sheet", "trial": 13, "success": True})


def test_a_full_sheet_is_read_once_by_a_run_with_the_numbers_of_paired_tests(
    trials: Any, workspace: Workspace, make_studio: Callable[..., Studio]
) -> None:
    directory = workspace.runs / "sheet"
    codes = json.loads((directory / "documents" / "key.json").read_text())["codes"]
    base, wmpo = enter_all(trials, codes)
    reading = ask(trials.read, {"run": "sheet"})["run"]
    with pytest.raises(ValueError, match="read already"):
        ask(trials.read, {"run": "sheet"})
    with pytest.raises(ValueError, match="its outcomes stand"):
        ask(trials.enter, {"run": "sheet", "trial": 1, "success": False})
    config = json.loads((workspace.runs / reading / "config.json").read_text())["config"]
    done(workspace.runs, "reading", config)
    found = ask(make_studio().trials.trials.sheet, {"run": "sheet"})["results"]
    assert [row["policy"] for row in found] == list(POLICIES)
    for row, outcomes in zip(found, (base, wmpo), strict=True):
        assert row["rate"] == outcomes.mean()
        assert (row["low"], row["high"]) == wilson_interval(int(outcomes.sum()), 6)
    assert found[0]["p"] is None
    assert found[1]["p"] == mcnemar_exact(*discordant(wmpo, base))


def test_a_poll_reads_no_table_and_counts_what_was_entered_before(
    trials: Any, workspace: Workspace, make_studio: Callable[..., Studio]
) -> None:
    for trial, success in ((1, True), (2, False), (3, True), (3, None)):
        ask(trials.enter, {"run": "sheet", "trial": trial, "success": success})
    (workspace.runs / "sheet" / "sheet.csv").unlink()
    for _ in range(2):  # and again by a studio that is opened later
        polled = trials.overview()["sheets"]
        assert [(one["trials"], one["entered"]) for one in polled] == [(12, 2)]
        trials = make_studio().trials.trials


def test_a_spoiled_list_of_outcomes_is_set_aside(trials: Any, workspace: Workspace) -> None:
    kept = workspace.root / "trials" / "sheet.json"
    kept.parent.mkdir()
    kept.write_text("{")
    assert trials.overview()["sheets"][0]["entered"] == 0
    assert [path.name.partition(".spoiled-")[0] for path in kept.parent.iterdir()] == [kept.name]


def test_a_sheet_needs_two_policies_and_a_task(trials: Any) -> None:
    for policies in (["a", " "], ["a", "a "]):
        with pytest.raises(ValueError, match="two different policies"):
            ask(trials.make, OPTIONS | {"policies": policies})
    with pytest.raises(ValueError, match="unknown task"):
        ask(trials.make, OPTIONS | {"task": "pour"})
    with pytest.raises(ValueError, match="no sheet of trials"):
        ask(trials.sheet, {"run": ask(trials.make, OPTIONS)["run"]})


def test_what_was_photographed_stands_beside_its_trial_and_start_and_goes_to_the_reading(
    trials: Any, workspace: Workspace
) -> None:
    codes = json.loads((workspace.runs / "sheet/documents/key.json").read_text())["codes"]
    buffer = io.BytesIO()
    Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).save(buffer, "JPEG")

    def sent(content: bytes) -> str:
        data = base64.b64encode(content).decode()
        return str(ask(trials._handover.take, {"data": data})["upload"])

    def attach(**values: Any) -> dict[str, list[str]]:
        return dict(ask(trials.attach, {"run": "sheet"} | values))

    lines = ask(trials.sheet, {"run": "sheet"})["trials"]
    start = lines[0]["start"]
    same = [line["trial"] for line in lines if line["start"] == start]
    seen = attach(trial=1, of="start", upload=sent(buffer.getvalue()), name="../a/desk.JPG")
    assert (len(seen["start"]), seen["trial"]) == (1, [])
    seen = attach(trial=same[1], upload=sent(buffer.getvalue()), name="end.jpg")
    assert [len(seen[of]) for of in ("start", "trial")] == [1, 1]  # of the same start
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(seen["start"][0]))))
    assert shown.shape == (96, 128, 3)
    other = next(line["trial"] for line in lines if line["start"] != start)
    assert ask(trials.seen, {"run": "sheet", "trial": other}) == {"trial": [], "start": []}
    enter_all(trials, codes)
    reading = ask(trials.read, {"run": "sheet"})["run"]
    config = json.loads((workspace.runs / reading / "config.json").read_text())["config"]
    done(workspace.runs, "reading", config)
    kept = read_documents(workspace.runs / "reading")["outcomes"]["media"]
    photograph = f"001-start-{start}-1.jpg"
    assert kept[0] == [photograph] and kept[same[1] - 1][0] == photograph
    assert len(kept[same[1] - 1]) == 2 and kept[other - 1] == []
    assert (workspace.runs / "reading/media" / photograph).read_bytes() == buffer.getvalue()
    with pytest.raises(ValueError, match="its outcomes stand"):
        attach(trial=1, upload=sent(buffer.getvalue()))
