"""ZeroGPU: what a dream sends to the process that is lent the GPU, and what comes back."""

import os
from collections.abc import Callable, Iterator
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import pytest

from app.live.lent_gpu import ON_THE_CPU, LentGpu, lent_gpu
from app.live.models import Models
from app.studio import Studio
from app.visitors import asking, visitor
from app.web.questions import ask
from engine.device import VARIABLE, Placement, choose_device, slot_names
from tests.app.conftest import CHUNK, OPTIMISE, load_fake
from tests.fakes import AddingWorldModel, ConstantPolicy


def sent(value: Any) -> Any:
    """A value as it comes out of a queue between processes."""
    return ForkingPickler.loads(ForkingPickler.dumps(value))


class Elsewhere:
    """Stands for `spaces.GPU`: runs a function on copies of what it is given, as another process
    does, and gives back a copy of what it says.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[bool, str, int]] = []

    def __call__(self, function: Callable[..., Any], *, duration: int) -> Callable[..., Any]:
        def call(*values: Any) -> Any:
            self.asked.append((values[0], visitor(), duration))
            before = dict(os.environ)
            try:
                return sent(function(*sent(values)))
            finally:
                os.environ.clear()
                os.environ.update(before)

        return call


def load_here(directory: Path, placement: Placement | None = None) -> Any:
    """Models of this side, which would imagine something else."""
    match directory.name:
        case "base":
            return ConstantPolicy(-1.0, chunk_size=CHUNK, action_dim=4)
        case "world":
            return AddingWorldModel(chunk_size=CHUNK, action_dim=4, side=64)
        case _:
            return load_fake(directory)


@pytest.fixture
def elsewhere() -> Elsewhere:
    return Elsewhere()


@pytest.fixture
def lending(elsewhere: Elsewhere, make_studio: Callable[..., Studio]) -> Iterator[Studio]:
    gpu = LentGpu(elsewhere, load=load_fake)
    yield make_studio(models=Models(load_here), gpu=gpu)


def finished(studio: Studio, settings: dict[str, Any]) -> Any:
    dream = studio.imagine.dreams.finish
    with asking("ann"):
        name = ask(dream, settings)
        return studio.dreams.trajectory(name)


def test_a_dream_is_computed_where_the_gpu_is_bit_for_bit(
    lending: Studio, elsewhere: Elsewhere, settings: dict[str, Any]
) -> None:
    there = finished(lending, settings)
    assert set(elsewhere.asked) == {(True, "ann", 60)}  # whose share of the GPU it is
    assert there.frames[-1].mean() > there.frames[0].mean()  # the policy of this side darkens
    assert there.outcome.success


def test_a_lent_dream_is_the_dream_that_one_process_has(
    lending: Studio, make_studio: Callable[..., Studio], settings: dict[str, Any]
) -> None:
    there = finished(lending, settings)
    here = finished(make_studio(), settings)
    assert there.id == here.id
    assert (there.frames == here.frames).all() and (there.actions == here.actions).all()
    for name, values in here.arrays.items():
        assert (there.arrays[name] == values).all()


def test_what_the_policy_would_do_is_asked_there_too(
    lending: Studio, elsewhere: Elsewhere, settings: dict[str, Any]
) -> None:
    dream = ask(lending.imagine.dreams.open, settings)["dream"]
    found = ask(lending.imagine.dreams.propose, {"dream": dream})
    assert found["normalized"] == [[0.125] * 4] * CHUNK
    assert elsewhere.asked == [(False, "", 60)]


def test_a_run_is_told_that_it_has_no_gpu(
    lending: Studio, make_studio: Callable[..., Studio]
) -> None:
    def said(studio: Studio) -> list[str]:
        checks = studio.train.training.look("optimise", OPTIMISE)["checks"]
        return [check["text"] for check in checks if check["name"] == "device"]

    assert said(lending) == [ON_THE_CPU]
    assert said(make_studio()) == []


@pytest.mark.parametrize("said", ["", "0", "true"])
def test_without_the_package_nothing_is_lent_and_nothing_changes(said: str) -> None:
    environ = {"SPACES_ZERO_GPU": said}
    assert lent_gpu(environ) is None
    assert environ == {"SPACES_ZERO_GPU": said}


def test_the_variable_keeps_a_process_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "cpu")
    assert choose_device().type == "cpu"
    assert slot_names() == ("cpu-0",)
