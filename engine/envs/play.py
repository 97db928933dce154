"""Play: varied behaviour around a scripted expert, from which a world model learns consequences."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.envs.episode import Action, Frame, as_scripted
from engine.protocols import Env
from engine.seeding import numpy_generator

# Share of each kind of style among the episodes, or among the branches of a start.
KINDS = {"noisy": 0.4, "near_miss": 0.25, "empty_hand": 0.2, "dither": 0.15}
FIRST_BRANCH = 4  # steps before the earliest branch: its frames are the first context


@dataclass(frozen=True)
class Style:
    """How an episode is played.

    Attributes:
        kind: one of `KINDS`.
        expert_share: share of the segments in which the expert is followed.
        dither_share: share of the other segments that tremble on the spot instead of wandering.
        grip_share: share of the expert's segments in which the gripper does what it wants.
        bias, white: constant and white noise on the expert's displacement.
        mistake: by how much the expert mistakes the object's and the goal's place [6], in metres.
    """

    kind: str
    expert_share: float
    dither_share: float
    grip_share: float
    bias: npt.NDArray[np.float64]
    white: float
    mistake: npt.NDArray[np.float64]


def draw_style(random: np.random.Generator, action_dim: int) -> Style:
    """Noisy following, near misses, a hand that leaves its object behind, or dithering."""
    kind = str(random.choice(list(KINDS), p=list(KINDS.values())))
    near = kind in ("near_miss", "empty_hand")
    bias = random.normal(0.0, 0.25, action_dim) * random.choice([0.5, 1.0, 1.5])
    return Style(
        kind=kind,
        expert_share=1.0 if near else float(random.choice([0.2, 0.7, 0.85, 1.0])),
        dither_share=0.9 if kind == "dither" else 0.2,
        grip_share=float(random.choice([0.0, 0.25])) if kind != "near_miss" else 0.0,
        bias=bias * (0.2 if near else 1.0),
        white=float(random.choice([0.0, 0.1] if near else [0.0, 0.1, 0.3, 0.6])),
        mistake=_mistake(random, kind),
    )


def _mistake(random: np.random.Generator, kind: str) -> npt.NDArray[np.float64]:
    """Centimetres beside object or goal; for an empty hand, too far off to take the object."""
    mistake = np.zeros(6)
    if kind == "near_miss":
        mistake[:2] = _sideways(random, 0.0, 0.05)
        mistake[3:5] = _sideways(random, 0.02, 0.10)
    elif kind == "empty_hand":
        mistake[:2] = _sideways(random, 0.04, 0.12)
        mistake[2] = random.choice([0.0, 0.06])
        mistake[3:5] = _sideways(random, 0.0, 0.06)
    return mistake


def _sideways(random: np.random.Generator, low: float, high: float) -> npt.NDArray[np.float64]:
    angle, length = random.uniform(0.0, 2.0 * np.pi), random.uniform(low, high)
    return length * np.array([np.cos(angle), np.sin(angle)])


class PlayActor:
    """Plays in a style, in segments of 4 to 16 steps: the expert is followed, or chance.

    Args:
        trunk_seed: with it, all episodes of a start are the same up to a step that the start
            draws, and go on from there in styles of their own: siblings from one state.
    """

    policy_hash: str | None = None

    def __init__(self, env: Env, *, trunk_seed: int | None = None) -> None:
        self._env = as_scripted(env)
        self._trunk_seed = trunk_seed
        self._wanted: list[Action] = []

    def begin(self, start_id: int, seed: int) -> None:
        """Draw the episode's style and, for siblings, where they part."""
        task = self._env.task
        trunk = seed if self._trunk_seed is None else self._trunk_seed
        self._random = numpy_generator(trunk, "play", task.name, start_id)
        self._branch = numpy_generator(seed, "branch", task.name, start_id)
        self._branch_step = -1
        if self._trunk_seed is not None:
            self._branch_step = int(self._random.integers(FIRST_BRANCH, 3 * task.horizon // 4))
        self._motion = np.zeros(self._env.action_dim)
        self._wanted = []
        self._change_style()

    def needs_frame(self, step: int) -> bool:
        """Play reads the state."""
        return False

    def act(self, frame: Frame | None, step: int) -> Action:
        """One action of the current segment."""
        if step == self._branch_step:
            self._random = self._branch
            self._change_style()
        if self._left == 0:
            self._begin_segment()
        self._left -= 1
        self._wanted.append(self._env.expert_action())
        shock = self._random.normal(0.0, 0.5, self._motion.shape)
        self._motion = self._memory * self._motion + shock
        if not self._follow:
            return np.clip(self._motion, -1.0, 1.0).astype(np.float32)
        aimed = self._env.expert_action(self._style.mistake)
        noise = self._style.bias + self._random.normal(0.0, self._style.white, aimed.shape)
        noise[-1] = 0.0
        done = np.clip(aimed + noise, -1.0, 1.0).astype(np.float32)
        if self._grip is not None:
            done[-1] = self._grip
        return done

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """`expert_actions`: what the expert would have done, for cloning; `branch_step`: -1, or
        the step from which siblings differ; `style`: the index of the last style's kind."""
        return {
            "expert_actions": np.stack(self._wanted),
            "branch_step": np.array(self._branch_step),
            "style": np.array(list(KINDS).index(self._style.kind)),
        }

    def _change_style(self) -> None:
        self._style = draw_style(self._random, self._env.action_dim)
        self._left = 0

    def _begin_segment(self) -> None:
        self._left = int(self._random.integers(4, 17))
        self._follow = self._random.uniform() < self._style.expert_share
        self._memory = -0.7 if self._random.uniform() < self._style.dither_share else 0.85
        takes = self._random.uniform() < self._style.grip_share
        self._grip = float(self._random.uniform(-1.0, 1.0)) if takes else None
