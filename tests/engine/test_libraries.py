"""Libraries are loaded late, and from any thread."""

import subprocess
import sys

import pytest

SCRIPT = """
import threading
from engine.libraries import from_library
names = [("transformers.models.llama.modeling_llama", "LlamaForCausalLM"),
         ("diffusers", "AutoencoderKL"), ("transformers", "VideoMAEForVideoClassification")]
found = []
threads = [threading.Thread(target=lambda n=n: found.append(from_library(*n))) for n in names]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(found))
"""


@pytest.mark.soak
@pytest.mark.slow  # a fresh interpreter imports both libraries
def test_three_threads_load_the_libraries_at_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("3", 0), done.stderr
