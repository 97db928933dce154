"""A served world model as `engine.protocols.WorldModel`: dreams with the server's own bits."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import httpx2
import torch
from jaxtyping import Float
from torch import Tensor

from engine.images import to_model, to_pixels
from engine.records.types import DreamContext
from engine.served.messages import pack, unpack

TRIES, PAUSE = 4, 0.5
KEPT = 4096  # answers that are remembered: frames of latents, and where steps led
NAME_BYTES = 6  # of a state: they travel in four whole numbers of a float32 row, 12 bits each


class ServedWorldModel:
    """A world model at an address.

    What the server remembers of a row is named by where it came from and what was done, so a
    question that got no answer is asked again without harm. `memory` of a dream holds that name.

    Args:
        address: such as http://127.0.0.1:7900.
        timeout: seconds that an answer may take.
        pause: seconds before a question is asked again, then twice and four times as long.

    Raises:
        ValueError: in a sentence: no answer, or a refusal.
    """

    def __init__(
        self,
        address: str,
        *,
        token: str = "",
        timeout: float = 120.0,
        pause: float = PAUSE,
        context: DreamContext = DreamContext(),  # noqa: B008 (frozen)
        micro_batch: int = 0,
    ) -> None:
        self._address, self._token = address.rstrip("/"), token
        self._timeout, self._pause = timeout, pause
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._line = httpx2.Client(
            base_url=self._address, headers=headers, timeout=timeout, trust_env=False
        )
        self.about = about = self._ask("GET", "/v1/world_model")
        self.context_frames = int(about["context_frames"])
        self.chunk_size, self.action_dim = int(about["chunk_size"]), int(about["action_dim"])
        z, y, x = about["latent_shape"]
        self.latent_shape: tuple[int, int, int] = (int(z), int(y), int(x))
        self.micro_batch, self.anchored = micro_batch or int(about["micro_batch"]), context.anchored
        self._said = {
            "anchored": context.anchored,
            "noise": context.noise,
            "micro_batch": micro_batch,
        }
        self._session = self._begin()
        self._frames = _Recent()  # by the bytes of their latents
        self._names = _Recent()  # of opened states by latents; where steps led by state and actions

    def with_context(self, context: DreamContext, micro_batch: int = 0) -> "ServedWorldModel":
        """The same server, asked in a session of its own."""
        return ServedWorldModel(
            self._address,
            token=self._token,
            timeout=self._timeout,
            pause=self._pause,
            context=context,
            micro_batch=micro_batch,
        )

    def encode(
        self, frames: Float[Tensor, "b c h w"], generators: Sequence[torch.Generator]
    ) -> Float[Tensor, "b z y x"]:
        """Open a state of each start; their latents. A session that is gone is begun anew."""
        pixels, seeds = to_pixels(frames), [each.initial_seed() for each in generators]
        called = [_name(row, seed) for row, seed in zip(pixels, seeds, strict=True)]
        said = {"states": called, "frames": pack(pixels), "seeds": seeds}
        shape = (len(called), *self.latent_shape)
        latents = _read(self._anyhow("open", said), "latents", "float32", shape)
        for row, name in zip(latents, called, strict=True):
            self._names.put(_bytes(row), name)
        return latents

    def begin(self, latents: Float[Tensor, "b z y x"]) -> Float[Tensor, "b m"]:
        """The names of the states that `encode` opened.

        Raises:
            ValueError: latents that did not come from there.
        """
        found = [self._names.get(_bytes(row)) for row in latents]
        if None in found:
            raise ValueError("a served world model begins dreams from frames that it encoded")
        return torch.stack([_as_row(name) for name in found])

    def predict(
        self,
        latents: Float[Tensor, "b t z y x"],
        actions: Float[Tensor, "b k a"],
        generators: Sequence[torch.Generator],
        denoising_steps: int,
        memory: Float[Tensor, "b m"] | None = None,
    ) -> Float[Tensor, "b k z y x"]:
        """A step from the states that `memory` names; `latents` are those the server has, too."""
        if memory is None:
            raise ValueError("a served world model remembers its dream: begin it with `begin`")
        seeds = [each.initial_seed() for each in generators]
        before = [_as_name(row) for row in memory]
        after = [
            _name(acted, seed, name, denoising_steps)
            for acted, seed, name in zip(actions, seeds, before, strict=True)
        ]
        said = {"states": before, "to": after, "actions": pack(actions), "seeds": seeds}
        answer = self._ask("POST", self._path("step"), said | {"denoising_steps": denoising_steps})
        shape = (len(before), self.chunk_size, *self.latent_shape)
        future = _read(answer, "latents", "float32", shape)
        frames = _read(answer, "frames", "uint8", (*shape[:2], -1, -1, 3))
        for row, shown, name, to, acted in zip(future, frames, before, after, actions, strict=True):
            self._names.put((name, _bytes(acted)), to)
            for each, picture in zip(row, shown, strict=True):
                self._frames.put(_bytes(each), picture)
        return future

    def remember(
        self, memory: Float[Tensor, "b m"], actions: Float[Tensor, "b k a"]
    ) -> Float[Tensor, "b m"]:
        """The names of the states that the last step with these actions led to."""
        pairs = zip(memory, actions, strict=True)
        found = [self._names.get((_as_name(row), _bytes(acted))) for row, acted in pairs]
        if None in found:
            raise ValueError("a served world model remembers steps that it was asked for")
        return torch.stack([_as_row(name) for name in found])

    def decode(self, latents: Float[Tensor, "b z y x"]) -> Float[Tensor, "b c h w"]:
        """Frames of latents, from the last answers or from the server."""
        frames = [self._frames.get(_bytes(row)) for row in latents]
        if any(frame is None for frame in frames):
            said = {"latents": pack(latents)}
            answer = self._anyhow("decode", said)
            frames = list(_read(answer, "frames", "uint8", (len(latents), -1, -1, 3)))
        return to_model(torch.stack(frames))

    def close(self) -> None:
        """Close the session; the server forgets it by itself otherwise."""
        try:
            self._ask("DELETE", f"/v1/sessions/{self._session}")
        finally:
            self._line.close()

    def _path(self, what: str) -> str:
        return f"/v1/sessions/{self._session}/{what}"

    def _begin(self) -> str:
        return str(self._ask("POST", "/v1/sessions", self._said)["session"])

    def _anyhow(self, what: str, said: dict[str, Any]) -> dict[str, Any]:
        """An answer that needs no state: in a new session where the old one is gone."""
        try:
            return self._ask("POST", self._path(what), said)
        except _NoSessionError:
            self._session = self._begin()
            return self._ask("POST", self._path(what), said)

    def _ask(self, method: str, path: str, said: dict[str, Any] | None = None) -> dict[str, Any]:
        for again in range(TRIES):
            last = again == TRIES - 1
            try:
                answer = self._line.request(method, path, json=said)
            except httpx2.HTTPError as error:
                if last:
                    told = f"the world model at {self._address} does not answer: {error}"
                    raise ValueError(told) from error
            else:
                if answer.status_code < 400:
                    found: dict[str, Any] = answer.json()
                    return found
                if last or answer.status_code != 503:
                    kind = _NoSessionError if answer.status_code == 404 else ValueError
                    raise kind(f"the world model at {self._address}: {_sentence(answer)}")
            time.sleep(self._pause * 2**again)
        raise AssertionError("the last try returns or raises")


class _NoSessionError(ValueError):
    """The server forgot us."""


class _Recent:
    """The last answers by key."""

    def __init__(self) -> None:
        self._found: OrderedDict[Any, Any] = OrderedDict()

    def get(self, key: Any) -> Any:
        return self._found.get(key)

    def put(self, key: Any, value: Any) -> None:
        self._found[key] = value
        self._found.move_to_end(key)
        while len(self._found) > KEPT:
            self._found.popitem(last=False)


def _read(answer: dict[str, Any], name: str, dtype: str, shape: tuple[int, ...]) -> Tensor:
    try:
        return unpack(answer, name, dtype, shape)
    except ValueError as error:
        raise ValueError(f"the served world model does not fit: {error}") from error


def _sentence(answer: Any) -> str:
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"status {answer.status_code}"


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().numpy().tobytes()


def _name(tensor: Tensor, seed: int, *more: object) -> str:
    said = repr((seed, *more)).encode() + _bytes(tensor)
    return hashlib.blake2b(said, digest_size=NAME_BYTES).hexdigest()


def _as_row(name: str) -> Tensor:
    return torch.tensor([float(int(name[at : at + 3], 16)) for at in range(0, len(name), 3)])


def _as_name(row: Tensor) -> str:
    return "".join(f"{int(part):03x}" for part in row.tolist())
