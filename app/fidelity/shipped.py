"""The measured pairs that the studio ships (`studies.shipped_pairs` makes them).

They belong to the Fidelity page alone: no list of episodes, queue or training set knows them.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from app.fidelity.pairs import Pair
from app.player.media import encode_clip

SAMPLE = "sample"  # names of shipped samples begin with it


class Sample:
    """What was measured of one shipped world model.

    Args:
        numbers: its document; the videos lie beside it as `.npz`, where they are shipped.
    """

    def __init__(self, numbers: Path) -> None:
        self.id = f"{SAMPLE}-{numbers.stem}"
        self._numbers, self._videos = numbers, numbers.with_suffix(".npz")

    @property
    def title(self) -> str:
        """What lists call it."""
        name = str(self._read()["models"]["world_model"]).rpartition("/")[2]
        return f"{name}, shipped, as measured"

    def results(self) -> dict[str, Any]:
        """{models, settings, metrics, curves, notes}, as a run gives them."""
        return {name: value for name, value in self._read().items() if name != "pairs"}

    def pairs(self) -> list[Pair]:
        """Every pair that was measured; none where its videos are not shipped."""
        if not self._videos.is_file():
            return []
        return [Pair(**values) for values in self._read().get("pairs", [])]

    def clip(self, clip: str) -> dict[str, Any]:
        """What a player needs of one of these clips: `app.player.records.Clip` without a record."""
        from storage.exports.pictures import read_mp4

        [pair] = [pair for pair in self.pairs() if clip in (pair.imagined, pair.real)]
        dreamt = clip == pair.imagined
        with np.load(self._videos, allow_pickle=False) as archive:
            name = clip.partition("/")[2]
            arrays = {
                part: archive[f"{name}/{part}"].astype(float).round(4).tolist() if dreamt else []
                for part in ("ends", "probabilities", "real_probabilities")
            }
            actions = archive[f"{pair.imagined.partition('/')[2]}/actions"]
            frames = read_mp4(archive[f"{name}/video"].tobytes())
        return {
            "id": clip,
            "shipped": True,
            "imagined": dreamt,
            "start_id": pair.start_id,
            "success": pair.success if dreamt else pair.real_success,
            "end_step": pair.end_step if dreamt else pair.real_end_step,
            "threshold": self._read()["threshold"] if dreamt else None,
            "chunk": self._read()["curves"]["chunk_size"],
            "frames": encode_clip(frames),
            "actions": actions.astype(float).round(4).tolist(),
            "lineage": {"psnr": list(pair.psnr), "onset": pair.onset} if dreamt else {},
            **arrays,
        }

    def film(self, pair: Pair) -> bytes:
        """A pair as a film, as it was packed."""
        with np.load(self._videos, allow_pickle=False) as archive:
            return archive[f"{pair.imagined.partition('/')[2]}/film"].tobytes()

    def _read(self) -> dict[str, Any]:
        return _document(self._numbers, self._numbers.stat().st_mtime_ns)


class Shipped:
    """What was measured of the shipped world models; nothing where a demo brings none.

    Args:
        folder: of a document and an archive of videos for each.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> list[Sample]:
        """The samples, by name."""
        return [Sample(path) for path in sorted(self._folder.glob("*.json"))]

    def find(self, run: str) -> Sample | None:
        """The sample of that name; None where it names none, but perhaps a run."""
        return next((sample for sample in self.all() if sample.id == run), None)


@lru_cache(maxsize=4)
def _document(path: Path, _changed: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found
