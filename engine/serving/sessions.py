"""Dreams of several clients in one world model, each in a session of its own."""

import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from einops import repeat
from jaxtyping import Float
from torch import Tensor

from engine.dream.tree import decode_frames, next_context
from engine.images import to_model
from engine.protocols import WorldModel
from engine.records.types import DreamContext
from engine.served.messages import names, pack, seeds, unpack

MOST_SESSIONS, MOST_STATES, MOST_ROWS, MOST_STEPS = 64, 8192, 512, 1000
IDLE = 900.0  # seconds after which a session that nobody asks is closed
TURN = 60.0  # seconds that a question waits for the questions of others


class GoneError(LookupError):
    """A session that is not there (404), or a state that was let go (410)."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class BusyError(RuntimeError):
    """Others are computing."""


@dataclass(frozen=True)
class State:
    """Where a row of a dream is: what the world model goes on from, and the chunk that led here."""

    context: Float[Tensor, "t z y x"]
    memory: Float[Tensor, " m"]
    latents: Float[Tensor, "k z y x"]


@dataclass
class Session:
    """One client's dreams."""

    model: WorldModel
    used: float
    states: OrderedDict[str, State] = field(default_factory=OrderedDict)

    def get(self, names: Sequence[str]) -> list[State]:
        """States by name."""
        for name in names:
            if name not in self.states:
                raise GoneError(
                    410, f"there is no state {name}: open it again, or step from one before it"
                )
            self.states.move_to_end(name)
        return [self.states[name] for name in names]

    def put(self, name: str, state: State) -> None:
        """Keep a state; the one that was not asked for longest goes when there are too many."""
        self.states[name] = state
        while len(self.states) > MOST_STATES:
            self.states.popitem(last=False)


class Sessions:
    """What the server answers. Every method may be called from any thread.

    Raises:
        ValueError: a question that is wrong, in a sentence.
        GoneError: no such session or state.
        BusyError: the model had no time.
    """

    def __init__(
        self,
        model: WorldModel,
        *,
        about: Mapping[str, Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model, self._clock, self._about = model, clock, dict(about or {})
        self._open: OrderedDict[str, Session] = OrderedDict()
        self._guard, self._turn = threading.Lock(), threading.Lock()

    def describe(self) -> dict[str, Any]:
        """Sizes that a client needs, and what is known of the checkpoint."""
        model = self._model
        return self._about | {
            "context_frames": model.context_frames,
            "chunk_size": model.chunk_size,
            "action_dim": model.action_dim,
            "latent_shape": list(model.latent_shape),
            "micro_batch": model.micro_batch,
            "anchored": model.anchored,
        }

    def begin(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """A new session; the idle and, when there are too many, the oldest are closed."""
        anchored, noise = message.get("anchored", False), message.get("noise", 0.0)
        if type(anchored) is not bool or type(noise) not in (int, float) or not 0 <= noise <= 1000:
            raise ValueError("anchored must be true or false, and noise a number from 0 to 1000")
        frames = message.get("micro_batch", 0)
        if type(frames) is not int or not 0 <= frames <= self._model.micro_batch:
            raise ValueError(f"micro_batch must be from 0 to {self._model.micro_batch}")
        context = DreamContext(anchored=anchored, noise=float(noise))
        now, name = self._clock(), uuid.uuid4().hex
        with self._guard:
            for old in [key for key, each in self._open.items() if now - each.used > IDLE]:
                del self._open[old]
            self._open[name] = Session(self._model.with_context(context, frames), now)
            while len(self._open) > MOST_SESSIONS:
                self._open.popitem(last=False)
        return {"session": name}

    def end(self, session: str) -> dict[str, Any]:
        """Forget a session; one that is not there is no matter."""
        with self._guard:
            self._open.pop(session, None)
        return {}

    def open(self, session: str, message: Mapping[str, Any]) -> dict[str, Any]:
        """States of start frames."""
        called = _rows(names(message, "states"))
        frames = unpack(message, "frames", "uint8", (len(called), -1, -1, 3))
        noise = seeds(message, len(called))
        with self._computing(session) as held:
            model = held.model
            latents = model.encode(to_model(frames), noise).cpu()
            if tuple(latents.shape[1:]) != tuple(model.latent_shape):
                raise ValueError(f"frames of {frames.shape[1]} x {frames.shape[2]} do not fit")
            context = repeat(latents, "b z y x -> b t z y x", t=model.context_frames)
            memory = model.begin(latents).cpu()
            for row, name in enumerate(called):
                held.put(name, State(context[row], memory[row], latents[row : row + 1]))
        return {"latents": pack(latents)}

    def step(self, session: str, message: Mapping[str, Any]) -> dict[str, Any]:
        """A chunk further from each state; a step that was done is told again, not done again."""
        before = _rows(names(message, "states"))
        after = names(message, "to", len(before))
        if len(set(after)) < len(after) or set(after) & set(before):
            raise ValueError("every step needs a name of its own for where it leads")
        size = (len(before), self._model.chunk_size, self._model.action_dim)
        actions = unpack(message, "actions", "float32", size)
        noise, steps = seeds(message, len(before)), message.get("denoising_steps")
        if not isinstance(steps, int) or not 1 <= steps <= MOST_STEPS:
            raise ValueError(f"denoising_steps must be a whole number from 1 to {MOST_STEPS}")
        if not torch.isfinite(actions).all():
            raise ValueError("actions must be finite")
        with self._computing(session) as held:
            todo = [row for row, name in enumerate(after) if name not in held.states]
            if todo:
                chosen = [noise[row] for row in todo]
                _advance(held, [before[row] for row in todo], actions[todo], chosen, steps,
                         [after[row] for row in todo])  # fmt: skip
            latents = torch.stack([state.latents for state in held.get(after)])
            frames = decode_frames(held.model, latents).cpu()
        return {"latents": pack(latents), "frames": pack(frames)}

    def decode(self, session: str, message: Mapping[str, Any]) -> dict[str, Any]:
        """Pixels of latents."""
        latents = unpack(message, "latents", "float32", (-1, *self._model.latent_shape))
        if not 0 < len(latents) <= MOST_ROWS:
            raise ValueError(f"latents of 1 to {MOST_ROWS} frames can be decoded at once")
        with self._computing(session) as held:
            return {"frames": pack(decode_frames(held.model, latents[None])[0].cpu())}

    def _computing(self, session: str) -> "_Turn":
        with self._guard:
            held = self._open.get(session)
            if held is None:
                raise GoneError(
                    404, "there is no such session: it was closed, or was idle for too long"
                )
            held.used = self._clock()
            self._open.move_to_end(session)
        return _Turn(self._turn, held)


class _Turn:
    """One question at a time computes."""

    def __init__(self, lock: threading.Lock, held: Session) -> None:
        self._lock, self._held = lock, held

    def __enter__(self) -> Session:
        if not self._lock.acquire(timeout=TURN):
            raise BusyError("others are computing: ask again")
        return self._held

    def __exit__(self, *_: object) -> None:
        self._lock.release()


@torch.no_grad()
def _advance(
    held: Session,
    before: Sequence[str],
    actions: Float[Tensor, "b k a"],
    noise: Sequence[torch.Generator],
    steps: int,
    after: Sequence[str],
) -> None:
    states, model = held.get(before), held.model
    context = torch.stack([state.context for state in states])
    memory = torch.stack([state.memory for state in states])
    future = model.predict(context, actions, noise, steps, memory).cpu()
    context = next_context(context, future, anchored=model.anchored)
    memory = model.remember(memory, actions).cpu()
    for row, name in enumerate(after):
        held.put(name, State(context[row], memory[row], future[row]))


def _rows(called: list[str]) -> list[str]:
    if len(called) > MOST_ROWS:
        raise ValueError(f"at most {MOST_ROWS} rows at once, not {len(called)}")
    return called
