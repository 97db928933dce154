"""Who acts in reality: the scripted expert with noise, and a policy checkpoint."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engine.envs.episode import Action, Frame, as_scripted
from engine.protocols import ActionChunk, Env, Policy
from engine.seeding import generator, numpy_generator


class ExpertActor:
    """The scripted expert; noise of a size drawn per episode is added to what is executed.

    The expert's own action is stored beside it as `expert_actions` [t, a].
    """

    policy_hash: str | None = None

    def __init__(self, env: Env, *, noise: float) -> None:
        self._env = as_scripted(env)
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


PARTS: dict[str, Callable[[ActionChunk], Tensor]] = {
    "tokens": lambda chunk: chunk.tokens,
    "log_probs": lambda chunk: chunk.log_probs,
    "entropy": lambda chunk: chunk.entropy.mean(dim=1),
}


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
        actions = self._policy.normalization.denormalize(chunk.actions[0].double().cpu().numpy())
        return actions.astype(np.float32)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """`tokens` and `log_probs` [chunks, l], mean `entropy` [chunks]."""
        return {
            name: torch.cat([part(chunk) for chunk in self._proposed]).cpu().numpy()
            for name, part in PARTS.items()
        }
