"""Workers on a real Ray cluster of two nodes, on this machine: the results of one process."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
import ray
import torch
from ray.cluster_utils import Cluster

from engine.crew import cluster as crews
from engine.crew.crew import open_crew
from engine.crew.worker import Shared
from tests.engine.test_exact_resume import account
from tests.engine.tiny import do

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

Tiny = tuple[Path, dict[str, str]]
SYSTEM = {"enable_metrics_collection": False, "worker_niceness": 0}
QUIET = {"include_dashboard": False, "_system_config": SYSTEM}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Two nodes of one CPU each."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **QUIET})
    cluster.add_node(num_cpus=1)
    yield cluster.address
    ray.shutdown()
    cluster.shutdown()


def cast() -> tuple[int]:
    return (os.getpid(),)


def die_once(own: int, *, mark: Path) -> str:
    if not mark.exists():
        mark.write_text(str(own))
        os.kill(own, signal.SIGKILL)
    return "done"


def tell(own: int, *, number: int, shared: Shared) -> tuple[int, float]:
    return number, shared.get()["a"].item()


def test_parts_are_done_on_two_nodes_whoever_dies(address: str, tmp_path: Path) -> None:
    told: list[str] = []
    with closing(open_crew(2, address, cast, told=told.append)) as crew:
        word = crew.share({"a": torch.tensor(0.5)})
        parts = [partial(tell, number=number, shared=word) for number in range(5)]
        assert list(crew.play(parts)) == [(number, 0.5) for number in range(5)]
        parts = [partial(die_once, mark=tmp_path / "dead"), *parts]
        assert list(crew.play(parts))[:2] == ["done", (0, 0.5)]
    [sentence] = told
    assert "another does its part again" in sentence


@pytest.mark.soak
def test_a_run_on_two_nodes_is_that_of_one_process(
    address: str, tiny: Tiny, tmp_path: Path
) -> None:
    options = {**tiny[1], "num_starts": 4, "iterations": 2, "groups": 1, "max_groups": 2}
    options |= {"group_size": 3, "horizon": 16, "denoising_steps": 1}
    options |= {"keep_low": 0.0, "keep_high": 1.0, "learning_rate": 1e-3}
    do("optimise", tmp_path / "alone", **options)
    do("optimise", tmp_path / "cluster", **options, workers=2, ray=address)
    assert account(tmp_path / "alone") == account(tmp_path / "cluster")


class OtherRay:
    """What a Ray of another version says."""

    def init(self, **_: object) -> None:
        raise RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 2.0.0\n")

    def shutdown(self) -> None:
        pass


def test_a_cluster_that_cannot_be_used_is_told_in_one_sentence(address: str) -> None:
    with pytest.raises(ValueError, match=r"no Ray cluster answers at 127\.0\.0\.1:9"):
        open_crew(1, "127.0.0.1:9", cast)
    with pytest.raises(ValueError, match=r"no room for 3 workers: it has 2 CPUs"):
        crews.Cluster(address, 3, cast, patience=1.0)
    with pytest.raises(ValueError, match=r"cannot be used: Version mismatch: .* Ray: 2\.0\.0"):
        crews.connect(OtherRay(), "auto")
    with pytest.raises(ValueError, match=r"pip install -r requirements-scale\.txt"):
        crews.library("a_ray_that_is_not_there")
