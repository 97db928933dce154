"""Two thousand recordings taken in, beside the bare decoding of their videos.

Run with `pytest -m soak -s tests/benchmarks/test_import.py`. Nothing asserts a time; what is
asserted is that all came in, and that no process took 600 MB of memory.
"""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.records.episodes import list_episodes
from tests.engine.recordings.datasets import FRONT, actions

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]
EPISODES, LENGTH, SIZE, FPS = 2000, 100, 256, 20
FILES, DIFFERENT = 100, 10  # videos; the others are links to these
IN_A_FILE = EPISODES // FILES
MOST_MEMORY = 600 * 2**10  # kB
DECODE = """
import sys, av
for path in sys.argv[1:]:
    with av.open(path) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for frame in container.decode(video=0):
            pass
"""


def film(path: Path, number: int) -> None:
    """Recordings of a block that wanders over a textured table, one behind the other."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    grain = np.random.default_rng(0).integers(-12, 12, (SIZE, SIZE, 3))
    slopes = np.stack([columns, rows, (rows + columns) // 2], axis=-1) * 0.6 + 60
    table, side = np.clip(slopes + grain, 0, 255).astype(np.uint8), SIZE // 6
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.height = stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "23", "g": "40", "preset": "veryfast", "threads": "1"}
        for episode in range(IN_A_FILE):
            for step in range(LENGTH):
                frame = table.copy()
                top = int((SIZE - side) * (0.5 + 0.5 * np.sin(number + episode + step / 15)))
                left = (SIZE - side) * step // LENGTH
                frame[top : top + side, left : left + side] = (40 + 9 * episode, 200, 60)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def dataset(root: Path) -> Path:
    """A LeRobot v3.0 dataset of 100 videos, one table and one list of episodes."""
    videos = root / "videos" / FRONT / "chunk-000"
    for folder in (videos, root / "data/chunk-000", root / "meta/episodes/chunk-000"):
        folder.mkdir(parents=True)
    for number in range(FILES):
        path, first = videos / f"file-{number:03d}.mp4", number % DIFFERENT
        if number < DIFFERENT:
            film(path, number)
        else:
            os.link(videos / f"file-{first:03d}.mp4", path)
    camera = {"dtype": "video", "shape": [SIZE, SIZE, 3], "names": None}
    action = {"dtype": "float32", "shape": [3], "names": ["dx", "dy", "grip"]}
    info = {"codebase_version": "v3.0", "fps": FPS, "features": {FRONT: camera, "action": action}}
    (root / "meta/info.json").write_text(json.dumps(info))
    indices = np.arange(EPISODES)
    acted = np.concatenate([actions(index, LENGTH) for index in indices])
    steps = {"action": list(acted), "episode_index": np.repeat(indices, LENGTH)}
    pq.write_table(pa.table(steps), root / "data/chunk-000/file-000.parquet")
    rows = [
        {
            "episode_index": index,
            "tasks": ["push the block"],
            "length": LENGTH,
            "data/chunk_index": 0,
            "data/file_index": 0,
            "dataset_from_index": index * LENGTH,
            "dataset_to_index": (index + 1) * LENGTH,
            f"videos/{FRONT}/chunk_index": 0,
            f"videos/{FRONT}/file_index": index // IN_A_FILE,
            f"videos/{FRONT}/from_timestamp": index % IN_A_FILE * LENGTH / FPS,
        }
        for index in indices.tolist()
    ]
    pq.write_table(pa.Table.from_pylist(rows), root / "meta/episodes/chunk-000/file-000.parquet")
    return root


def cost(*commands: list[str], **variables: str) -> tuple[float, float]:
    """(seconds on the clock, seconds of CPU) of programs that run side by side."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    running = [
        subprocess.Popen(
            [sys.executable, *words], env={**os.environ, **variables}, stderr=subprocess.DEVNULL
        )
        for words in commands
    ]
    assert [process.wait() for process in running] == [0] * len(running)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return perf_counter() - begin, used


def test_report_two_thousand_recordings_beside_their_bare_decoding(tmp_path: Path) -> None:
    root, out = dataset(tmp_path / "set"), tmp_path / "out"
    videos = sorted(map(str, root.rglob("*.mp4")))
    words = ["-m", "engine", "import", str(root), "--out", str(out), "--set", "new_task=mine"]
    bare = cost(["-c", DECODE, *videos])
    taken = cost(words, WMPO_DATA_DIR=str(tmp_path / "data"))
    halves = cost(["-c", DECODE, *videos[::2]], ["-c", DECODE, *videos[1::2]])
    told = (("decoding", bare), ("decoding, two at once", halves), ("import", taken))
    for name, (wall, used) in told:
        print(f"\n{name}: {wall:.1f} s, {used:.1f} s of CPU, {wall / bare[0]:.2f} of decoding")
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(f"\nlargest process: {memory // 2**10} MB")
    assert len(list_episodes(out / "episodes")) == EPISODES
    assert memory < MOST_MEMORY
