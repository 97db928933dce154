"""Frames for the screen: encoded once, as data URIs."""

import base64
import io
import secrets
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

Frame = npt.NDArray[np.uint8]

LOSSLESS_SIDE = 96  # up to this size a PNG is small enough to show exactly what the models see


def encode(frame: Frame, *, format: str | None = None) -> str:
    """A frame, uint8 [h, w, 3], as a data URI.

    Args:
        format: `png`, `jpeg` or `webp`; by default PNG for small frames and JPEG for large ones.

    Raises:
        ValueError: another format, or not a frame.
    """
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        raise ValueError(f"a frame is uint8 [h, w, 3], not {frame.dtype} {list(frame.shape)}")
    if format is None:
        format = "png" if max(frame.shape[:2]) <= LOSSLESS_SIDE else "jpeg"
    buffer = io.BytesIO()
    image = Image.fromarray(frame)
    match format:
        case "png":
            image.save(buffer, "PNG", compress_level=3)
        case "jpeg":
            image.save(buffer, "JPEG", quality=88, subsampling=0)
        case "webp":
            image.save(buffer, "WEBP", quality=88, method=2)
        case _:
            raise ValueError(f"a frame can be png, jpeg or webp, not {format!r}")
    return f"data:image/{format};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def encode_clip(frames: npt.NDArray[np.uint8]) -> list[str]:
    """Every frame of a clip, uint8 [t, h, w, 3]."""
    return [encode(frame) for frame in frames]


def film(frames: npt.NDArray[np.uint8]) -> bytes:
    """Frames, uint8 [t, h, w, 3], side by side in one WebP image."""
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(list(frames), axis=1)).save(buffer, "WEBP", quality=82, method=2)
    return buffer.getvalue()


def fit(image: Frame, side: int) -> Frame:
    """The middle square of an image, uint8 [h, w, 3], at `side` x `side` pixels."""
    height, width = image.shape[:2]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    square = Image.fromarray(image[top : top + short, left : left + short])
    return np.asarray(square.resize((side, side), Image.Resampling.BOX if short > side else 3))


class EncodedOnce:
    """Encoded pictures by name: each made at its first use, the longest unused forgotten."""

    def __init__(self, make: Callable[[str], Sequence[str]], *, capacity: int) -> None:
        """`make` gives the pictures of a name; what it raises is not remembered."""
        self._get = lru_cache(maxsize=capacity)(lambda name: tuple(make(name)))

    def get(self, name: str) -> list[str]:
        """The pictures of a name."""
        return list(self._get(name))


class KeptOnDisk:
    """WebP pictures by name, kept as files: each made once, whoever asks after whatever restart."""

    def __init__(self, make: Callable[[str], bytes], directory: Path) -> None:
        """`make` gives the picture of a name, which must be able to name a file."""
        self._make = make
        self._directory = directory

    def get(self, name: str) -> str:
        """The picture of a name as a data URI."""
        path = self._directory / f"{name}.webp"
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            content = self._make(name)
            self._directory.mkdir(exist_ok=True)
            partial = path.with_suffix(f".{secrets.token_hex(4)}")
            partial.write_bytes(content)
            partial.replace(path)
        return f"data:image/webp;base64,{base64.b64encode(content).decode()}"
