"""Who acts in reality: the scripted expert with noise, play, and a policy checkpoint."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch

from engine.protocols import ActionChunk, Env, Policy
from engine.seeding import generator, numpy_generator

Frame = npt.NDArray[np.uint8]
Action = npt.NDArray[np.float32]


@runtime_checkable
class ScriptedEnv(Env, Protocol):
    """An environment that comes with a scripted expert."""

    def expert_action(self) -> Action:
        """What the expert would do now: raw action [a]."""
        ...


def _scripted(env: Env) -> ScriptedEnv:
    if not isinstance(env, ScriptedEnv):
        raise ValueError(f"{env.task.name} has no scripted expert")
    return env


class ExpertActor:
    """The scripted expert; noise of a size drawn per episode is added to what is executed.

    The expert's own action is stored beside it as `expert_actions` [t, a].
    """

    policy_hash: str | None = None

    def __init__(self, env: Env, *, noise: float) -> None:
        self._env = _scripted(env)
        self._noise = noise
        self._wanted: list[Action] = []

    def begin(self, start_id: int, seed: int) -> None:
        """Draw the episode's noise size."""
        self._random = numpy_generator(seed, "expert", self._env.task.name, start_id)
        self._sigma = self._random.uniform(0.0, self._noise)
        self._wanted = []

    def needs_frame(self, step: int) -> bool:
        """Experts read the state."""
        return False

    def act(self, frame: Frame | None, step: int) -> Action:
        """The expert's action plus noise on the displacement."""
        wanted = self._env.expert_action()
        self._wanted.append(wanted)
        noise = self._random.normal(0.0, self._sigma, wanted.shape)
        noise[-1] = 0.0
        return np.clip(wanted + noise, -1.0, 1.0).astype(np.float32)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """`expert_actions`."""
        return {"expert_actions": np.stack(self._wanted)}


class PlayActor:
    """Varied behaviour for pre-training: noisy expert, drift, and random motion, in segments.

    Each episode draws a style; each segment of 4 to 16 steps draws whether the expert or an
    Ornstein-Uhlenbeck random motion is followed, and how much of the other is mixed in.
    """

    policy_hash: str | None = None

    def __init__(self, env: Env) -> None:
        self._env = _scripted(env)
        self._wanted: list[Action] = []

    def begin(self, start_id: int, seed: int) -> None:
        """Draw the episode's style."""
        self._random = numpy_generator(seed, "play", self._env.task.name, start_id)
        self._expert_share = self._random.choice([0.2, 0.7, 0.85, 1.0])
        self._bias = self._random.normal(0.0, 0.25, self._env.action_dim)
        self._white = self._random.choice([0.0, 0.1, 0.3, 0.6])
        self._motion = np.zeros(self._env.action_dim)
        self._left, self._wanted = 0, []

    def needs_frame(self, step: int) -> bool:
        """Play reads the state."""
        return False

    def act(self, frame: Frame | None, step: int) -> Action:
        """One action of the current segment."""
        if self._left == 0:
            self._left = int(self._random.integers(4, 17))
            self._follow = self._random.uniform() < self._expert_share
        self._left -= 1
        wanted = self._env.expert_action()
        self._wanted.append(wanted)
        shock = self._random.normal(0.0, 0.5, self._motion.shape)
        self._motion = 0.85 * self._motion + shock
        if not self._follow:
            return np.clip(self._motion, -1.0, 1.0).astype(np.float32)
        noise = self._bias + self._random.normal(0.0, self._white, wanted.shape)
        noise[-1] = 0.0
        return np.clip(wanted + noise, -1.0, 1.0).astype(np.float32)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """`expert_actions`: what the expert would have done, for cloning."""
        return {"expert_actions": np.stack(self._wanted)}


class PolicyActor:
    """A policy checkpoint, chunk by chunk, open loop within a chunk (method.md §4.5)."""

    def __init__(
        self,
        policy: Policy,
        instruction: str,
        *,
        temperature: float = 0.0,
        policy_hash: str | None = None,
    ) -> None:
        self._policy = policy
        self._instruction = instruction
        self._temperature = temperature
        self.policy_hash = policy_hash

    def begin(self, start_id: int, seed: int) -> None:
        """Forget the last episode."""
        self._key = (seed, start_id)
        self._proposed: list[ActionChunk] = []

    def needs_frame(self, step: int) -> bool:
        """The policy looks at the first frame of each chunk."""
        return step % self._policy.chunk_size == 0

    def act(self, frame: Frame | None, step: int) -> Action:
        """The next raw action of the chunk."""
        if self.needs_frame(step):
            assert frame is not None
            self._chunk = self._propose(frame, step // self._policy.chunk_size)
        return self._chunk[step % self._policy.chunk_size]

    def _propose(self, frame: Frame, chunk_index: int) -> npt.NDArray[np.float32]:
        seed, start_id = self._key
        with torch.no_grad():
            chunk = self._policy.act(
                torch.from_numpy(frame)[None],
                [self._instruction],
                [generator(seed, "policy", chunk_index, start_id, 0)],
                self._temperature,
            )
        self._proposed.append(chunk)
        actions = self._policy.normalization.denormalize(chunk.actions[0].double().numpy())
        return actions.astype(np.float32)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """`tokens` and `log_probs` [chunks, l], mean `entropy` [chunks]."""
        return {
            "tokens": torch.cat([chunk.tokens for chunk in self._proposed]).numpy(),
            "log_probs": torch.cat([chunk.log_probs for chunk in self._proposed]).numpy(),
            "entropy": torch.cat([chunk.entropy.mean(dim=1) for chunk in self._proposed]).numpy(),
        }
