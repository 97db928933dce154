"""`python -m engine JOB`: what it writes before a job runs, and how it says that one did not."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.__main__ import ProgressBar, main
from engine.records.events import encode_line
from engine.worker import BAD_INPUT, DONE


def finished(directory: Path, loss: float) -> str:
    """A run of another day, as far as `choose` looks at it."""
    (directory / "checkpoints" / "step-000001").mkdir(parents=True)
    (directory / "checkpoints" / "step-000001" / "model.safetensors").write_text(directory.name)
    (directory / "config.json").write_text(json.dumps({"job": "clone", "config": {}}))
    event = {"seq": 1, "attempt": 1, "kind": "result", "metrics": {"loss": loss}}
    from_worker = directory / "events.jsonl"
    from_worker.write_bytes(encode_line(event))
    return str(directory)


def choose(out: Path, candidates: list[str], *more: str) -> int:
    named = f"candidates={json.dumps(candidates)}"
    return main(["choose", "--out", str(out), "--set", named, "--set", "lowest=loss", *more])


def test_a_job_runs_in_the_foreground_and_answers_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    candidates = [finished(tmp_path / name, loss) for name, loss in (("a", 0.5), ("b", 0.1))]
    out = tmp_path / "out"
    assert choose(out, candidates, "--keep", "last=3", "--keep", "best=loss") == DONE
    answer: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer["metrics"]["choose/run"] == "b"
    spec = json.loads((out / "config.json").read_text())
    assert spec["retention"] == {"last": 3, "best": "loss", "lowest": False}
    assert choose(out, candidates) == DONE  # what is kept may change from one attempt to the next
    del spec["config"]["highest"]  # as if that option were newer than the run
    (out / "config.json").write_text(json.dumps(spec))
    assert choose(out, candidates) == DONE
    assert choose(out, candidates[:1]) == BAD_INPUT
    assert "holds a run with another config" in capsys.readouterr().err


def test_what_a_run_does_now_is_told_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    bar = ProgressBar("optimise")
    bar({"kind": "phase", "phase": "about 90 imagined frames/s"})
    bar.close()
    assert "about 90 imagined frames/s\n" in capsys.readouterr().err


def test_bad_input_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert choose(tmp_path / "out", []) == BAD_INPUT
    assert "error: choose needs candidates" in capsys.readouterr().err
    assert choose(tmp_path / "out", [], "--keep", "worst=3") == BAD_INPUT
    assert "Retention has no option worst" in capsys.readouterr().err
