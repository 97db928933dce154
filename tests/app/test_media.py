"""Frames as data URIs."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from app.player.media import EncodedOnce, encode, encode_clip, fit


def decode(uri: str) -> np.ndarray:
    header, _, body = uri.partition(",")
    assert header.endswith(";base64")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))).convert("RGB"))


@pytest.fixture
def frame() -> np.ndarray:
    return np.arange(64 * 64 * 3, dtype=np.uint32).reshape(64, 64, 3).astype(np.uint8)


def test_a_small_frame_is_shown_exactly(frame: np.ndarray) -> None:
    uri = encode(frame)
    assert uri.startswith("data:image/png;")
    np.testing.assert_array_equal(decode(uri), frame)


def test_a_large_frame_is_a_jpeg() -> None:
    uri = encode(np.zeros((256, 256, 3), np.uint8))
    assert uri.startswith("data:image/jpeg;")
    assert decode(uri).shape == (256, 256, 3)


def test_webp_can_be_asked_for(frame: np.ndarray) -> None:
    assert encode(frame, format="webp").startswith("data:image/webp;")


def test_another_format_is_refused(frame: np.ndarray) -> None:
    with pytest.raises(ValueError, match="png, jpeg or webp"):
        encode(frame, format="gif")


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4)])
def test_what_is_no_frame_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="a frame is uint8"):
        encode(np.zeros(shape, np.uint8))


def test_a_clip_has_one_picture_a_frame(frame: np.ndarray) -> None:
    assert encode_clip(np.stack([frame, frame])) == [encode(frame), encode(frame)]


def test_fitting_takes_the_middle_square() -> None:
    image = np.zeros((4, 12, 3), np.uint8)
    image[:, 4:8] = 200
    fitted = fit(image, 2)
    assert fitted.shape == (2, 2, 3)
    assert (fitted == 200).all()


def test_a_smaller_image_is_enlarged() -> None:
    assert fit(np.zeros((4, 4, 3), np.uint8), 8).shape == (8, 8, 3)


def test_a_picture_is_made_once_and_the_longest_unused_forgotten() -> None:
    made: list[str] = []

    def make(name: str) -> list[str]:
        made.append(name)
        return [name]

    pictures = EncodedOnce(make, capacity=2)
    for name in ("a", "b", "a", "c", "b"):
        assert pictures.get(name) == [name]
    assert made == ["a", "b", "c", "b"]
