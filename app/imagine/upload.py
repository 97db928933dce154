"""An uploaded picture: read with care, shown as a thumbnail."""

import base64
import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from engine.records.types import Frames

MOST_PIXELS = 4_096 * 4_096  # as `app.imagine.starts.LARGEST`


def read_image(path: str) -> Frames:
    """The picture in a file as uint8 [h, w, 3].

    Raises:
        ValueError: the file is not a picture, is broken, or is too large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise ValueError(
                        f"the picture has {image.width} × {image.height} pixels; "
                        f"at most {MOST_PIXELS // 1_000_000} million are read"
                    )
                return np.asarray(image.convert("RGB"))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError("the picture is too large") from error
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(f"{Path(path).name} is not a picture that can be read") from error


def thumbnail(image: Frames, *, size: int = 64) -> str:
    """The picture squeezed into size × size pixels, as a PNG data URI."""
    small = Image.fromarray(image).resize((size, size), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
