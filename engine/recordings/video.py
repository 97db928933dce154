"""Frames of video files, in order, without more of them in memory than one."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import av.filter
import numpy as np

from engine.recordings.description import Array, Cut, UnusableError

EIGHT_BITS = ("yuv420p", "yuvj420p", "yuv422p", "yuv444p", "rgb24", "bgr24", "gray", "gbrp", "nv12")
_UNREADABLE = (av.FFmpegError, ValueError, IndexError, OSError)


@dataclass(frozen=True)
class About:
    """What the head of a video says."""

    height: int
    width: int
    codec: str
    frames: int
    fps: float


def look(path: Path, name: str) -> About:
    """The head of a video, and how many frames it has; nothing is decoded but the first.

    Raises:
        UnusableError: no video, more than 8 bits a colour, turned by a flag, or fps 0.
    """
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            layout, rate = stream.codec_context.pix_fmt, stream.average_rate
            turned = int(next(_decoded(container)).rotation)
            count = stream.frames or _counted(path)
            about = About(stream.height, stream.width, stream.codec_context.name, count,
                          float(rate or 0))  # fmt: skip
    except StopIteration as error:
        raise UnusableError(name, "has no frame") from error
    except _UNREADABLE as error:
        raise UnusableError(name, f"is no video that can be read: {error}") from error
    if layout not in EIGHT_BITS:
        raise UnusableError(
            name, f"has {layout} pixels, which is not read: convert it to 8 bits (yuv420p)"
        )
    if turned % 360:
        raise UnusableError(name, f"is turned by a flag ({turned}°): write it upright")
    if not rate:
        raise UnusableError(name, "says 0 frames a second")
    return about


def _counted(path: Path) -> int:
    """The frames of a video whose head does not say."""
    with av.open(str(path)) as container:
        return sum(1 for packet in container.demux(video=0) if packet.size)


def glimpses(path: Path, count: int) -> list[Array]:
    """Frames of a video from its first to its last, upright, of whatever kind of pixels.

    Raises:
        UnusableError: it is no video.
    """
    found = []
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            begin, length = stream.start_time or 0, stream.duration or 0
            for number in range(count):
                wanted = begin + length * number // max(count - 1, 1)
                container.seek(wanted, stream=stream)
                for frame in container.decode(stream):
                    if frame.pts is None or frame.pts >= wanted:
                        break
                found.append(np.rot90(_whole(frame), round(frame.rotation / 90)))
    except (*_UNREADABLE, UnboundLocalError) as error:
        raise UnusableError(path.name, "is neither a photograph nor a video") from error
    return found


class Videos:
    """One video is open at a time; what follows on what was read last is not sought again."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._container: Any = None
        self._frames: Iterator[Any] = iter(())
        self._ahead: Any = None
        self._scaler: Any = None

    def frames(
        self,
        path: Path,
        name: str,
        *,
        start: float,
        fps: float,
        count: int,
        cut: Cut | None = None,
    ) -> Iterator[Array]:
        """`count` frames [h, w, 3] from a second on, or what is kept of them.

        Raises:
            UnusableError: there are fewer, or they lie at other times.
        """
        number, kept = 0, self._keeper(cut)
        every = 1 if cut is None else cut.every
        try:
            self._go_to(path, start, 0.5 / fps)
            for number in range(count):
                frame, self._ahead = self._ahead or next(self._frames), None
                late = frame.time - (start + number / fps)
                if abs(late) > 0.5 / fps:
                    raise UnusableError(name, f"its frame is {late:.3f} s off its time", number)
                if number % every == 0:
                    yield kept(frame)
        except StopIteration as error:
            raise UnusableError(name, f"ends after {number} of {count} frames") from error
        except (av.FFmpegError, OSError, IndexError) as error:
            raise UnusableError(name, f"cannot be decoded: {error}") from error

    def _keeper(self, cut: Cut | None) -> Callable[[Any], Array]:
        """What is kept of a frame; the decoder's own scaler averages pixels, in one pass."""
        if cut is None:
            return _whole
        if not _suits_scaler(cut):
            return lambda frame: cut.of(_whole(frame))
        return partial(self._scaled, cut)

    def _scaled(self, cut: Cut, frame: Any) -> Array:
        if self._scaler is None:
            cut.check(frame.height, frame.width)
            self._scaler = _scaler(self._container.streams.video[0], cut)
        self._scaler.push(frame)
        found: Array = self._scaler.pull().to_ndarray()
        return found

    def _go_to(self, path: Path, start: float, tolerance: float) -> None:
        if path == self._path and self._ahead is None:
            self._ahead = next(self._frames, None)
        here = None if self._ahead is None else self._ahead.time
        if path == self._path and here is not None and abs(here - start) < tolerance:
            return
        if self._container is not None:  # one that came to its end cannot be wound back
            self._container.close()
        self._path, self._container, self._scaler = path, av.open(str(path)), None
        stream = self._container.streams.video[0]
        if start > tolerance:
            offset = int(Fraction(start - tolerance) / stream.time_base)
            self._container.seek(max(offset, 0), stream=stream)
        self._frames = _decoded(self._container)
        self._ahead = next(self._frames)
        while self._ahead.time < start - tolerance:
            self._ahead = next(self._frames)


def _whole(frame: Any) -> Array:
    found: Array = frame.to_ndarray(format="rgb24", threads=1)
    return found


def _suits_scaler(cut: Cut) -> bool:
    """Whether it averages pixels, of a rectangle that no pixel of colour reaches out of."""
    even = all(side % 2 == 0 for side in (cut.top, cut.left, cut.height, cut.width))
    return even and cut.size < min(cut.height, cut.width)


def _scaler(stream: Any, cut: Cut) -> Any:
    """A filter from frames of a stream to what is kept of them, colours at full resolution.

    It makes planes of red, green and blue first, which takes two thirds of the time.
    """
    graph = av.filter.Graph()
    graph.threads = 1  # one is all a sandbox may have
    crop = f"{cut.width}:{cut.height}:{cut.left}:{cut.top}:exact=1"
    chain = [
        graph.add_buffer(template=stream),
        graph.add("crop", crop),
        graph.add("scale", f"{cut.size}:{cut.size}:flags=area+full_chroma_int+accurate_rnd"),
        graph.add("format", "gbrp"),
        graph.add("scale"),
        graph.add("format", "rgb24"),
        graph.add("buffersink"),
    ]
    for one, other in itertools.pairwise(chain):
        one.link_to(other)
    graph.configure()
    return graph


def _decoded(container: Any) -> Iterator[Any]:
    container.streams.video[0].codec_context.thread_count = 1  # one is all a sandbox may have
    yield from container.decode(video=0)


def as_bytes(frame: Array) -> Array:
    """A picture as uint8: numbers in [0, 1] are taken for shares of 255.

    Raises:
        ValueError: other numbers.
    """
    if frame.dtype == np.uint8:
        return frame
    if frame.dtype.kind != "f" or not (frame.min() >= 0.0 and frame.max() <= 1.0):
        raise ValueError(f"pictures of {frame.dtype} must lie in [0, 1]")
    return np.rint(frame * 255.0).astype(np.uint8)
