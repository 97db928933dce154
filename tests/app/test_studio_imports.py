"""What opening the studio costs."""

import subprocess
import sys


def test_the_studio_loads_neither_gradio_nor_the_model_libraries() -> None:
    script = (
        "import sys, app.studio\n"
        "print([n for n in ('gradio', 'diffusers', 'transformers', 'mujoco') if n in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "[]"
