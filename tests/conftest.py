"""Settings that must stand before anything is imported. Imports neither torch nor gradio."""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

TINY_WORLDS = ("test_baselines.py", "test_exact_resume.py", "test_jobs.py", "test_study.py")

settings.register_profile("studio", max_examples=30, deadline=None, derandomize=True)
settings.load_profile("studio")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two workers for a whole suite; a file, a drill or what prints runs in one process."""
    whole = config.args_source is config.ArgsSource.TESTPATHS
    return 2 if whole and "not soak" in config.option.markexpr else 0


@pytest.hookimpl(tryfirst=True)  # the workers read the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several workers, as in `make test`, tests that share something dear stay together."""
    for item in items:
        if item.get_closest_marker("e2e"):
            item.add_marker(pytest.mark.xdist_group("browser"))
        elif item.path.name in TINY_WORLDS:
            item.add_marker(pytest.mark.xdist_group("tiny world"))
