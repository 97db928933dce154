"""What browsers sent goes with the studio that took it, also when it was killed."""

import time
from pathlib import Path

from app.runs.uploads import LOCK, PREFIX, clear_orphans, held_uploads


def test_the_folder_of_a_killed_studio_goes_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    later = time.time() + 3_600.0
    dead, earlier = tmp_path / f"{PREFIX}dead", tmp_path / f"{PREFIX}earlier"
    for folder in (dead, earlier, tmp_path / "somebody-elses"):
        folder.mkdir()
        (folder / "film.mp4").write_bytes(b"x")
    (dead / LOCK).write_text("")
    assert clear_orphans(tmp_path) == 0  # it may just be beginning
    with held_uploads(tmp_path) as living:
        assert clear_orphans(tmp_path, now=later) == 1
        assert living.is_dir() and not dead.exists()
    assert not living.exists() and earlier.is_dir()  # one of before there were locks
    assert clear_orphans(tmp_path, now=later + 8 * 86_400.0) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["somebody-elses"]
