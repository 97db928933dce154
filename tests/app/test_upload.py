"""Uploads: pictures are read, everything else is refused in a sentence."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.imagine.upload import MOST_PIXELS, read_image, thumbnail


def test_a_picture_is_read_as_colour_pixels(tmp_path: Path) -> None:
    Image.new("L", (5, 3), 77).save(tmp_path / "grey.png")
    image = read_image(str(tmp_path / "grey.png"))
    assert image.shape == (3, 5, 3)
    assert (image == 77).all()


def test_text_is_not_a_picture(tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("not a picture")
    with pytest.raises(ValueError, match=r"notes\.png is not a picture that can be read"):
        read_image(str(tmp_path / "notes.png"))


def test_a_cut_picture_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:2000])
    with pytest.raises(ValueError, match="is not a picture"):
        read_image(str(tmp_path / "cut.png"))


def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    side = int(MOST_PIXELS**0.5) + 10
    Image.new("1", (side, side)).save(tmp_path / "huge.png")
    with pytest.raises(ValueError, match="at most 16 million are read"):
        read_image(str(tmp_path / "huge.png"))


def test_a_thumbnail_is_a_small_png() -> None:
    uri = thumbnail(np.full((300, 200, 3), 9, np.uint8))
    header, data = uri.split(",")
    assert header == "data:image/png;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (64, 64)
