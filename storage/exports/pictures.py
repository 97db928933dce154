"""An episode's frames as a video, an animation or a sheet, enlarged without smoothing."""

import io
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

Frames = npt.NDArray[np.uint8]

FRAMES_PER_SECOND = 16
QUALITY = "12"  # of x264, where 0 is lossless and 23 the usual
SHEET_COLUMNS = 8


def enlarge(frames: Frames, scale: int) -> Frames:
    """Frames [t, h, w, 3] with every pixel repeated `scale` times each way."""
    return frames.repeat(scale, axis=1).repeat(scale, axis=2)


def mp4(
    frames: Frames, *, scale: int = 1, colours: str = "yuv420p", quality: str = QUALITY
) -> bytes:
    """H.264 with 4:2:0 colours, which every browser plays; odd sides lose their last line.

    Args:
        colours: `yuv444p` keeps those of every pixel, for `read_mp4` and few browsers.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "episode.mp4"
        large = enlarge(frames, scale)
        write_mp4(path, large, size=large.shape[1:3], options={"crf": quality}, colours=colours)
        return path.read_bytes()


def read_mp4(content: bytes) -> Frames:
    """The frames [t, h, w, 3] of a video that `mp4` made."""
    with av.open(io.BytesIO(content)) as container:
        container.streams.video[
            0
        ].codec_context.thread_count = 1  # threads cost more than they give
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def write_mp4(
    path: Path,
    frames: Iterable[Frames],
    *,
    size: tuple[int, ...],
    options: Mapping[str, str] | None = None,
    colours: str = "yuv420p",
) -> None:
    """`mp4` into a file, from frames [h, w, 3] one by one; `options` go to x264 as well."""
    height, width = (side // 2 * 2 for side in size)
    # The index goes first, so that a browser can begin before the file is there.
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream(
            "libx264", rate=FRAMES_PER_SECOND, options={"crf": QUALITY} | dict(options or {})
        )
        stream.width, stream.height, stream.pix_fmt = width, height, colours
        for frame in frames:
            cropped = np.ascontiguousarray(frame[:height, :width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(cropped, format="rgb24")))
        container.mux(stream.encode())


def gif(frames: Frames, *, scale: int = 1) -> bytes:
    """An animation that loops, with the 256 best colours of each frame."""
    pictures = [Image.fromarray(frame).quantize() for frame in enlarge(frames, scale)]
    return _saved(
        pictures[0],
        "GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=1000 // FRAMES_PER_SECOND,
        loop=0,
        disposal=1,
    )


def sheet(frames: Frames, *, scale: int = 1) -> bytes:
    """All frames in one PNG, `SHEET_COLUMNS` a row, exact; places without a frame are white."""
    rows = -(-len(frames) // SHEET_COLUMNS)
    _, height, width, _ = frames.shape
    padded = np.full((rows * SHEET_COLUMNS, height, width, 3), 255, np.uint8)
    padded[: len(frames)] = frames
    grid = padded.reshape(rows, SHEET_COLUMNS, height, width, 3).transpose(0, 2, 1, 3, 4)
    whole = grid.reshape(1, rows * height, SHEET_COLUMNS * width, 3)
    return _saved(Image.fromarray(enlarge(whole, scale)[0]), "PNG")


def _saved(picture: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()
