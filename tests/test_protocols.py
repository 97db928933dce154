"""The classes that are passed around take what their protocol gives them (style.md §2)."""

import importlib
import inspect

import pytest

from engine import protocols
from engine.envs.gl import use_rendering
from engine.policy.model import OpenVLAPolicy
from engine.reward.classifier import VideoReward
from engine.runs.run_directory import RunDirectory
from engine.world_model.model import LatentWorldModel
from tests import fakes


@pytest.mark.parametrize(
    ("protocol", "implementation"),
    [
        (protocols.WorldModel, LatentWorldModel),
        (protocols.WorldModel, fakes.AddingWorldModel),
        (protocols.Policy, OpenVLAPolicy),
        (protocols.Policy, fakes.ConstantPolicy),
        (protocols.RewardModel, VideoReward),
        (protocols.RewardModel, fakes.BrightnessReward),
        (protocols.Env, fakes.CountingEnv),
        (protocols.Run, RunDirectory),
        (protocols.Run, fakes.MemoryRun),
    ],
)
def test_a_class_takes_what_its_protocol_gives(protocol: type, implementation: type) -> None:
    assert refused(protocol, implementation) == []


def test_the_simulator_takes_what_an_env_gives() -> None:
    use_rendering()  # chooses the GL backend, which an import of mujoco would settle for good
    simulator = importlib.import_module("engine.envs.simulators.metaworld").MetaWorldEnv
    assert refused(protocols.Env, simulator) == []


def refused(protocol: type, implementation: type) -> list[str]:
    """The promised methods that the implementation does not take."""
    methods = {name: method for name, method in vars(protocol).items() if name[0] != "_"}
    return [
        name
        for name, method in methods.items()
        if inspect.isfunction(method) and not accepts(getattr(implementation, name), method)
    ]


def accepts(method: object, promised: object) -> bool:
    """Whether a method has the promised parameters, and defaults for all others."""
    assert callable(method)
    assert callable(promised)
    own, wanted = inspect.signature(method).parameters, inspect.signature(promised).parameters
    extra = [parameter for name, parameter in own.items() if name not in wanted]
    return [name for name in own if name in wanted] == list(wanted) and all(
        parameter.default is not inspect.Parameter.empty for parameter in extra
    )
