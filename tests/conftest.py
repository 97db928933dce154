"""Settings that must stand before anything is imported. Imports neither torch nor gradio."""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from app.environment import without_stubs

without_stubs()

TINY_WORLDS = (
    "test_baselines.py",
    "test_exact_resume.py",
    "test_distil.py",
    "test_jobs.py",
    "test_jobs_on_a_device.py",
    "test_learners.py",
    "test_ray.py",
    "test_study.py",
)

BROWSERS = ("test_j", "test_p", "test_t")  # where the next studio's files begin

settings.register_profile("studio", max_examples=30, deadline=None, derandomize=True)
settings.load_profile("studio")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two workers for a whole suite, for three were no faster; else none.

    A file, a drill or what prints runs in one process; browsers have workers of their own, which
    import little.
    """
    whole = config.args_source is config.ArgsSource.TESTPATHS
    return 2 if whole and "not soak" in config.option.markexpr else 0


class Together(LoadScopeScheduling):
    """A file's tests share what is dear to make, and some files do: each group has one worker.

    By the path, as xdist 3.8 reads no groups from markers under pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = Path(nodeid.partition("::")[0])
        if path.parent.name == "e2e":  # one studio alone would be the last to end by far
            return f"browser {sum(path.name > first for first in BROWSERS)}"
        return "tiny world" if path.name in TINY_WORLDS else str(path)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first: with --no-loadscope-reorder the workers keep this order."""
    items.sort(key=lambda item: (item.path.parent.name != "e2e", item.path.name not in TINY_WORLDS))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """The order in which the workers take the tests."""
    return Together(config, log)
