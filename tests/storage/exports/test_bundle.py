"""Episodes that travel in one file."""

import io
import zipfile
from collections.abc import Callable

import numpy as np
import pytest

from engine.records.types import Outcome, Trajectory
from storage.exports import bundle


@pytest.fixture
def episode() -> Trajectory:
    return Trajectory(
        id="dream-1",
        task="coffee-push",
        start_id=7,
        instruction="push",
        imagined=True,
        outcome=Outcome(True, 3),
        frames=np.arange(4 * 8 * 8 * 3, dtype=np.uint8).reshape(4, 8, 8, 3),
        actions=np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4),
        arrays={"latents": np.ones((4, 2, 1, 1), np.float32)},
        lineage={"policy": "p"},
        replay={"seed": 3},
    )


def changed(data: bytes, change: Callable[[str, bytes], bytes | None], **extra: bytes) -> bytes:
    """The archive with files replaced, left out (None) or added."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
        for name, content in extra.items():
            new.writestr(name, content)
    return buffer.getvalue()


def test_an_episode_comes_back_as_it_was(episode: Trajectory) -> None:
    again = bundle.unpack(bundle.pack(episode))
    np.testing.assert_array_equal(again.frames, episode.frames)
    np.testing.assert_array_equal(again.actions, episode.actions)
    np.testing.assert_array_equal(again.arrays["latents"], episode.arrays["latents"])
    for name in ("id", "task", "start_id", "instruction", "imagined", "outcome", "replay"):
        assert getattr(again, name) == getattr(episode, name)


@pytest.mark.parametrize("data", [b"", b"PK", b"not a zip at all" * 9])
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"no episode exported from a studio \(\.wmpo\.zip\)"):
        bundle.unpack(data)


def test_other_files_are_refused(episode: Trajectory) -> None:
    data = bundle.pack(episode)
    for other in (
        changed(data, lambda name, content: content, **{"../evil": b"x"}),
        changed(data, lambda name, content: None if name == "manifest.json" else content),
    ):
        with pytest.raises(ValueError, match="that is no episode exported"):
            bundle.unpack(other)


def test_a_changed_file_is_noticed(episode: Trajectory) -> None:
    data = changed(
        bundle.pack(episode),
        lambda name, content: content.replace(b"push", b"pull") if "json" in name else content,
    )
    with pytest.raises(ValueError, match="this exported episode is damaged"):
        bundle.unpack(data)


def test_an_archive_that_would_fill_the_memory_is_refused(episode: Trajectory) -> None:
    with pytest.raises(ValueError, match="unpacks to more than"):
        bundle.unpack(bundle.pack(episode), largest=1_000)
