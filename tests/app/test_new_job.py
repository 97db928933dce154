"""One file in `engine/jobs` is a job: on the command line, on Train, with fields and charts."""

import importlib
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest

from app.studio import Studio
from app.train.methods import get_method, methods, offered
from app.train.page import MethodForms
from app.train.plots import skeletons
from engine.runs.job import Method
from engine.runs.registry import job_config, job_names, run_job
from tests.fakes import MemoryRun

TALLY = '''"""Count."""

from dataclasses import dataclass

from engine.config import Config, knob
from engine.runs.job import Chart, Finding, Job, Method, Trace


@dataclass(frozen=True, kw_only=True)
class JobConfig(Config):
    """How far, and with whom."""

    policy: str = knob("", "Policy that counts")
    last: int = knob(3, "Last number", low=1)
    seed: int = knob(0, "Root of randomness")


JOB = Job(
    methods=(Method(name="Count aloud", about="numbers in their order"),),
    shown=("policy", "last"),
    hidden=("seed",),
    charts=(
        Chart(name="tally", title="numbers", traces=(Trace(metric="tally/number", name="said"),)),
    ),
    needs=lambda config: ("policy",),
    check=lambda config: (Finding("numbers", config.last < 9, f"{config.last} fingers"),),
)


def run(config, run):
    for number in range(1, config.last + 1):
        run.log(number, {"tally/number": number})
    return {"tally/last": config.last}
'''


@pytest.fixture
def tally(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "tally.py").write_text(TALLY)
    folders = importlib.import_module("engine.jobs").__path__
    folders.append(str(tmp_path))
    importlib.invalidate_caches()
    yield "tally"
    folders.remove(str(tmp_path))


def test_a_file_among_the_jobs_can_be_run(tally: str) -> None:
    assert tally in job_names()
    run = MemoryRun()
    assert run_job(tally, {"last": 2}, run) == {"tally/last": 2}
    assert [step for step, _ in run.metrics] == [1, 2]
    with pytest.raises(ValueError, match="last must be at least 1"):
        run_job(tally, {"last": 0}, run)


def test_it_is_on_train_with_its_title_fields_charts_needs_and_checks(
    tally: str, studio: Studio
) -> None:
    assert [method.name for method in methods()][-1] == "Count aloud"
    assert [chart["title"] for chart in skeletons(offered()) if chart["job"] == tally] == [
        "numbers"
    ]
    with gr.Blocks():
        forms = MethodForms(studio.train)
    assert "Count aloud" in [name for name, _ in forms.method.choices]
    form = forms.forms[tally]
    assert list(form.named) == ["policy", "last"]
    changed = forms.choose("Count aloud", "quick look")
    assert len(changed) == len(forms.outputs)
    values = [box.value for box in forms.inputs[1:]]
    assert forms.described("Count aloud", *values) == (
        tally,
        {"policy": values[values.index(form.named["policy"].value)], "last": 3, "seed": 0},
    )
    found = studio.train.training.look(tally, {"last": 10})
    told = {check["name"]: (check["ok"], check["text"]) for check in found["checks"]}
    assert told["numbers"] == (False, "10 fingers")
    assert told["models"] == (False, "choose a policy")


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.name)
def test_what_the_form_of_a_method_says_is_what_its_job_takes(
    method: Method, studio: Studio
) -> None:
    with gr.Blocks():
        forms = MethodForms(studio.train)
    job, options = forms.described(method.name, *(box.value for box in forms.inputs[1:]))
    assert job == method.job
    assert job_config(job, options).to_dict().items() >= options.items()


def test_without_the_file_there_is_no_such_job() -> None:
    assert "tally" not in job_names()
    with pytest.raises(ValueError, match="there is no method 'Count aloud'"):
        get_method("Count aloud")
