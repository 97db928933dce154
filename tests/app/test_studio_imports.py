"""What opening the studio costs."""

import subprocess
import sys

import pytest

ALL_JOBS = "from engine.runs.registry import *; [declared(job) for job in job_names()]"


@pytest.mark.parametrize("what", ["import app.studio", ALL_JOBS])
def test_neither_the_studio_nor_what_jobs_say_of_themselves_loads_the_libraries(what: str) -> None:
    script = (
        f"import sys; {what}\n"
        "heavy = ('gradio', 'diffusers', 'transformers', 'mujoco', 'skimage')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "[]"
