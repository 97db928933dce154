"""How far a download is, by a clock that the test turns."""

from storage.downloads.progress import Progress


def test_progress_counts_what_is_here_and_times_what_came() -> None:
    now = [0.0]
    progress = Progress(1_000, clock=lambda: now[0])
    progress.seen(400, 0)
    now[0] = 2.0
    progress.seen(500, 100)
    assert (progress.done, progress.rate, progress.seconds_left) == (500, 50.0, 10.0)
    now[0] = 1_000.0
    progress.seen(600, 100)
    assert progress.rate < 1.0
    progress.file_done(600)
    assert progress.done == 600


def test_progress_without_bytes_knows_no_end() -> None:
    assert Progress(1_000, clock=lambda: 0.0).seconds_left is None
