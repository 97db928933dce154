"""Frames as files that others play."""

import io

import av
import numpy as np
import pytest
from PIL import Image

from storage.exports.pictures import gif, mp4, sheet

FRAMES = (
    np.zeros((10, 16, 16, 3), np.uint8) + (20 * np.arange(10, dtype=np.uint8))[:, None, None, None]
)


def test_an_mp4_is_what_browsers_play_and_shows_every_frame() -> None:
    data = mp4(FRAMES, scale=4)
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert (context.width, context.height, stream.average_rate) == (64, 64, 16)
        greys = [frame.to_ndarray(format="rgb24").mean() for frame in container.decode(stream)]
    assert greys == [pytest.approx(20 * number, abs=3) for number in range(10)]
    assert data.index(b"moov") < data.index(b"mdat")


def test_odd_sides_lose_their_last_line() -> None:
    with av.open(io.BytesIO(mp4(FRAMES[:, :15, :13]))) as container:
        context = container.streams.video[0].codec_context
        assert (context.width, context.height) == (12, 14)


def test_a_gif_loops_through_every_frame() -> None:
    with Image.open(io.BytesIO(gif(FRAMES, scale=2))) as image:
        assert (image.size, image.n_frames, image.info["loop"]) == ((32, 32), 10, 0)


def test_a_sheet_is_exact() -> None:
    with Image.open(io.BytesIO(sheet(FRAMES, scale=2))) as image:
        pixels = np.asarray(image)
    assert pixels.shape == (64, 256, 3)
    assert (pixels[:32, 32:64] == 20).all()
    assert (pixels[32:, :32] == 160).all()
    assert (pixels[32:, 64:] == 255).all()
