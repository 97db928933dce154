"""What a dataset of recordings holds, told before anything is taken in."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[Any]
BINS = 24  # of a histogram
DESCRIPTION = "description.json"  # the file that carries one out of the sandbox
ENOUGH = "enough"  # the file that says into it that nobody reads on


class UnusableError(ValueError):
    """A dataset that cannot be used: which file, which row of it (from 0), why."""

    def __init__(self, file: str, reason: object, row: int | None = None) -> None:
        where = file if row is None else f"{file}, row {row}"
        super().__init__(f"{where}: {reason}")


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What is kept of a film: of every `every`-th frame a rectangle, as a square of `size`."""

    top: int
    left: int
    height: int
    width: int
    size: int
    every: int = 1

    def of(self, frame: Array) -> Array:
        """The square of one frame.

        Raises:
            ValueError: the rectangle is not inside it.
        """
        self.check(*frame.shape[:2])
        part = frame[self.top : self.top + self.height, self.left : self.left + self.width]
        return resized(part, self.size)

    def check(self, height: int, width: int) -> None:
        """Refuse frames that do not hold the rectangle.

        Raises:
            ValueError: they do not.
        """
        if self.top + self.height > height or self.left + self.width > width:
            crop = [self.top, self.left, self.height, self.width]
            raise ValueError(f"the crop {crop} is not inside a frame of {height}×{width}")


def cut_frames(frames: Iterable[Array], cut: Cut | None) -> Iterator[Array]:
    """The frames as they are, or what is kept of them."""
    for number, frame in enumerate(frames):
        if cut is None:
            yield frame
        elif number % cut.every == 0:
            yield cut.of(frame)


def resized(frame: Array, size: int) -> Array:
    """A square of a size; each new pixel is the mean of those it covers."""
    if frame.shape[:2] == (size, size):
        return np.ascontiguousarray(frame)
    frame = np.ascontiguousarray(frame)
    times = frame.shape[0] // size
    if frame.shape[:2] == (times * size, times * size):
        return np.asarray(Image.fromarray(frame).reduce(times))  # the same mean, twice as fast
    smaller = min(frame.shape[:2]) >= size
    how = Image.Resampling.BOX if smaller else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(frame).resize((size, size), how))


@dataclass(frozen=True, kw_only=True)
class View:
    """A camera of the recordings."""

    name: str
    height: int
    width: int
    stored: str


@dataclass(frozen=True, kw_only=True)
class Episode:
    """One recording, without its frames.

    Attributes:
        name: its name in the dataset, such as `demo_3` or its number.
        steps: its actions.
        frames: its frames: as many as actions, or one more.
        success: None where nobody says.
        succeeded_at: the action with which it succeeded, from 0; None where only the whole is
            judged.
    """

    name: str
    steps: int
    frames: int
    instruction: str
    success: bool | None = None
    succeeded_at: int | None = None


@runtime_checkable
class Source(Protocol):
    """A dataset that can be read, whatever its format."""

    @property
    def kind(self) -> str:
        """Its format, in words."""
        ...

    @property
    def fps(self) -> float | None:
        """Steps a second; None where it is not said."""
        ...

    @property
    def views(self) -> Sequence[View]:
        """Its cameras."""
        ...

    @property
    def action_names(self) -> Sequence[str]:
        """Names of the numbers of an action; empty where they have none."""
        ...

    @property
    def states(self) -> Mapping[str, int]:
        """What else was recorded, and how many numbers it has."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know of how it was understood."""
        ...

    @property
    def success_found(self) -> str:
        """Where success is said; empty where it is not."""
        ...

    def check(self) -> None:
        """Look at all that is read later, but for decoding it.

        Raises:
            UnusableError: a part is missing, or of another size than the others.
        """
        ...

    @property
    def count(self) -> int:
        """How many recordings there are."""
        ...

    def episode(self, index: int) -> Episode:
        """One recording."""
        ...

    def num_frames(self, index: int) -> int:
        """Its frames, without looking for its success."""
        ...

    def actions(self, index: int) -> Array:
        """float [steps, a] of one recording."""
        ...

    def frames(self, index: int, view: str, cut: Cut | None = None) -> Iterator[Array]:
        """Its pictures, uint8 [h, w, 3], in order: whole, or what is kept of them."""
        ...


@dataclass(frozen=True, kw_only=True)
class Description:
    """A dataset in plain values, as a page shows it.

    Attributes:
        low, high: of each action dimension over all recordings.
        histograms: `BINS` counts of each between its low and its high.
        instructions: how many recordings have each.
        lengths: actions of each recording; frames: how many it has; names: its name; said: its
            instruction.
        succeeded: what the dataset itself says of each; None where it says nothing.
        succeeded_at: the action with which it did, where that is known.
        success_found: where it says so.
    """

    kind: str
    fps: float | None
    views: tuple[dict[str, Any], ...]
    action_names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    histograms: tuple[tuple[int, ...], ...]
    states: dict[str, int]
    instructions: dict[str, int]
    lengths: tuple[int, ...]
    frames: tuple[int, ...]
    names: tuple[str, ...]
    said: tuple[str, ...]
    succeeded: tuple[bool | None, ...]
    succeeded_at: tuple[int | None, ...]
    success_found: str
    notes: tuple[str, ...] = field(default=())

    @property
    def action_dim(self) -> int:
        """Numbers in one action."""
        return len(self.low)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def describe(source: Source) -> Description:
    """Read all but the pictures of a dataset; whatever cannot be used is found here.

    Raises:
        UnusableError: an action that is no number, actions of two sizes, no recording, …
    """
    source.check()
    if not source.count:
        raise UnusableError(source.kind, "it has no episode: record at least one")
    episodes = [source.episode(index) for index in range(source.count)]
    actions = [_checked(source, number, episode) for number, episode in enumerate(episodes)]
    sizes = {part.shape[1]: number for number, part in reversed(list(enumerate(actions)))}
    if len(sizes) > 1:
        (one, _), (other, number) = sorted(sizes.items(), key=lambda item: item[1])[:2]
        raise UnusableError(
            f"episode {episodes[number].name}", f"its actions have {other} numbers, others {one}"
        )
    every = np.concatenate(actions).astype(np.float64)
    low, high = every.min(axis=0), every.max(axis=0)
    instructions: dict[str, int] = {}
    for episode in episodes:
        instructions[episode.instruction] = instructions.get(episode.instruction, 0) + 1
    return Description(
        kind=source.kind,
        fps=source.fps,
        views=tuple(asdict(view) for view in source.views),
        action_names=tuple(source.action_names),
        low=tuple(low.tolist()),
        high=tuple(high.tolist()),
        histograms=tuple(
            tuple(np.histogram(every[:, dim], bins=BINS)[0].tolist()) for dim in range(len(low))
        ),
        states=dict(source.states),
        instructions=instructions,
        lengths=tuple(episode.steps for episode in episodes),
        frames=tuple(episode.frames for episode in episodes),
        names=tuple(episode.name for episode in episodes),
        said=tuple(episode.instruction for episode in episodes),
        succeeded=tuple(episode.success for episode in episodes),
        succeeded_at=tuple(episode.succeeded_at for episode in episodes),
        success_found=source.success_found,
        notes=tuple(source.notes),
    )


def _checked(source: Source, number: int, episode: Episode) -> Array:
    values = source.actions(number)
    place = f"episode {episode.name}, action"
    if values.ndim != 2 or values.shape[1] == 0 or values.dtype.kind not in "fiu":
        raise UnusableError(place, f"{list(values.shape)} {values.dtype} are no actions [t, a]")
    bad = ~np.isfinite(values.astype(np.float64)).all(axis=1)
    if bad.any():
        raise UnusableError(place, "it is not a finite number", int(np.argmax(bad)))
    if len(values) != episode.steps or episode.frames not in (episode.steps, episode.steps + 1):
        raise UnusableError(
            f"episode {episode.name}",
            f"{episode.frames} frames do not fit {len(values)} actions",
        )
    if episode.frames < 2:
        raise UnusableError(f"episode {episode.name}", "one frame makes no episode")
    return values
