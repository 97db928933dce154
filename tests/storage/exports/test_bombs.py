"""Small files that unpack to gigabytes cost the studio nothing: a child decodes them."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.records.types import Outcome, Trajectory
from storage.database import Database
from storage.events.labels import LabelStore
from storage.exports import bundle
from storage.exports.contents import LabelledEpisode
from storage.exports.events.labels import TABLE, import_labels
from storage.exports.formats import FORMATS, read_episodes

pytestmark = pytest.mark.slow
MOST_MEMORY = 300 * 2**20


@pytest.fixture
def episode() -> Trajectory:
    return Trajectory(
        id="episode-1",
        task="coffee-push",
        start_id=300_000,
        instruction="push the mug",
        imagined=True,
        outcome=Outcome(True, 2),
        frames=np.arange(3 * 16 * 16 * 3, dtype=np.uint8).reshape(3, 16, 16, 3),
        actions=np.array([[0.5, -0.5], [0.25, 1.0]], np.float32),
        arrays={"tokens": np.arange(4).reshape(1, 4)},
    )


@pytest.fixture
def bounded() -> Callable[[Callable[[], object]], object]:
    """Runs something and asserts that this process did not grow by it."""

    def run(work: Callable[[], object]) -> object:
        before = psutil.Process().memory_info().rss
        found = work()
        assert psutil.Process().memory_info().rss - before < MOST_MEMORY
        return found

    return run


def test_a_parquet_dictionary_bomb_is_refused(
    database: Database, tmp_path: Path, bounded: Callable[..., object]
) -> None:
    store = LabelStore(database, tmp_path / "labels.jsonl")
    long = "x" * 5_000
    rows = 400_000
    columns = {name: pa.array([None] * rows) for name in TABLE.hints}
    same = pa.array(np.zeros(rows, np.int32))
    columns["note"] = pa.DictionaryArray.from_arrays(same, pa.array([long]))
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, compression="zstd", use_dictionary=True)
    data = buffer.getvalue()
    assert len(data) < 2**20
    del columns

    def attempt() -> None:
        with pytest.raises(ValueError, match=r"memory|large|read it"):
            import_labels(store, "parquet", data, dry_run=True)

    bounded(attempt)


def test_every_format_comes_back_through_the_sandbox(tmp_path: Path, episode: Trajectory) -> None:
    item = LabelledEpisode(episode=episode)
    (tmp_path / "one.wmpo.zip").write_bytes(bundle.pack(episode))
    for name, (ending, write) in FORMATS.items():
        if name != "robomimic":
            write(tmp_path / f"{name}{ending}", [item])
    for path in sorted(tmp_path.iterdir()):
        contents = read_episodes(path)
        assert contents.problems == ()
        [found] = contents.episodes
        assert found.episode.id == episode.id
        assert np.array_equal(found.episode.frames, episode.frames)
        assert np.array_equal(found.episode.arrays["tokens"], episode.arrays["tokens"])


def test_an_archive_that_unpacks_to_gigabytes_is_refused(
    tmp_path: Path, episode: Trajectory, bounded: Callable[..., object]
) -> None:
    path = tmp_path / "bomb.wmpo.zip"
    plain = zipfile.ZipFile(io.BytesIO(bundle.pack(episode)))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in plain.namelist():
            content = plain.read(name)
            if name == "episode.json":
                record = json.loads(content) | {"lineage": {"note": "x" * 100_000_000}}
                content = json.dumps(record).encode()
            archive.writestr(name, content)

    def attempt() -> None:
        with pytest.raises(ValueError):
            read_episodes(path, largest=2**26)

    bounded(attempt)


def test_a_foreign_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="that is no file of episodes"):
        read_episodes(tmp_path / "x")
