"""Shapes are checked by beartype in tests only; one thread, deterministic algorithms."""

from pathlib import Path

from jaxtyping import install_import_hook

ROOT = Path(__file__).parents[2]
# Only what declares shapes: mypy reads the other annotations, and checking them takes seconds.
SHAPED = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "engine").rglob("*.py"))
    if "from jaxtyping import" in path.read_text("utf-8")
]
install_import_hook(SHAPED, "beartype.beartype")

from typing import Any

import pytest
import torch

from tests.engine.job_options import job_options
from tests.engine.tiny import build_tiny_world

torch.set_num_threads(1)
torch.set_deterministic_debug_mode("error")  # without importing the compiler, which takes seconds


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """(the directory of the tiny world's runs, its checkpoints by role), made once."""
    root = tmp_path_factory.mktemp("tiny")
    return root, build_tiny_world(root)


@pytest.fixture(scope="session")
def options(
    tiny: tuple[Path, dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """A config in miniature for each job."""
    return job_options(*tiny, tmp_path_factory.mktemp("made"))
