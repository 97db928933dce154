"""What opening the studio costs."""

import subprocess
import sys

import pytest

ALL_JOBS = "from engine.runs.registry import *; [declared(job) for job in job_names()]"


@pytest.mark.parametrize("what", ["import app.studio", ALL_JOBS])
def test_neither_the_studio_nor_what_jobs_say_of_themselves_loads_the_libraries(what: str) -> None:
    script = (
        f"import sys; {what}\n"
        "print([n for n in ('gradio', 'diffusers', 'transformers', 'mujoco') if n in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "[]"
