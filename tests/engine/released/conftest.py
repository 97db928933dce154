"""One release in the official layout, and what it is after it was adopted."""

from pathlib import Path

import pytest

from engine.records.manifest import whole_directory
from engine.released.autoencoder import read_autoencoder
from engine.released.policy import read_policy
from engine.released.reward_model import read_reward_model
from engine.released.tasks import get_released
from engine.released.world_model import read_world_model
from tests.engine.released.official import fake_converter, write_release

Places = dict[str, Path]


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Places:
    """Official places by role; not to be changed."""
    return write_release(tmp_path_factory.mktemp("release"), "coffee")


@pytest.fixture(scope="session")
def adopted(release: Places, tmp_path_factory: pytest.TempPathFactory) -> Places:
    """Our checkpoints by role; not to be changed."""
    return adopt(release, "coffee", tmp_path_factory.mktemp("adopted"))


def adopt(release: Places, task: str, root: Path) -> Places:
    """Read a whole release; our checkpoints by role."""
    facts, threshold = get_released(task), None if task != "aloha" else 0.5
    convert = fake_converter
    with whole_directory(root / "policy") as directory:
        read_policy(release["policy"], directory, task=facts)
    with whole_directory(root / "world_model") as directory:
        read_world_model(release["world_model"], directory, task=task)
    with whole_directory(root / "reward_model") as directory:
        read_reward_model(
            release["reward_model"],
            directory,
            task=facts,
            success_threshold=threshold,
            convert=convert,
        )
    with whole_directory(root / "autoencoder") as directory:
        read_autoencoder(release["autoencoder"], directory)
    roles = ("policy", "world_model", "reward_model", "autoencoder")
    return {role: root / role for role in roles}
