"""Room on the disk."""

import errno
from pathlib import Path

import pytest

from engine.records.room import check_room, in_words, is_full, newest_checkpoint_bytes


def test_what_does_not_fit_is_refused_as_a_full_disk(tmp_path: Path) -> None:
    check_room(tmp_path, 0, reserve=0)
    with pytest.raises(OSError, match=r"1024\.0 GB are to be saved, .* are free") as refused:
        check_room(tmp_path, 2**40, reserve=2**40)
    assert is_full(refused.value)


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (RuntimeError("Error while serializing: I/O error: … (os error 28)"), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (ValueError("the loss is nan"), False),
    ],
)
def test_a_full_disk_is_told_from_other_errors(error: Exception, full: bool) -> None:
    assert is_full(error) is full


def test_the_next_checkpoint_is_taken_to_be_as_large_as_the_newest(tmp_path: Path) -> None:
    assert newest_checkpoint_bytes(tmp_path) == 0
    directory = tmp_path / "checkpoints" / "step-000010"
    directory.mkdir(parents=True)
    (directory / "model.safetensors").write_bytes(bytes(1000))
    assert newest_checkpoint_bytes(tmp_path) == 1000


def test_bytes_are_told_in_words() -> None:
    assert (in_words(3 * 2**29), in_words(20 * 2**20)) == ("1.5 GB", "20 MB")
