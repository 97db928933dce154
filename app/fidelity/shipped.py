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

SAMPLE = "sample"


class Shipped:
    """What was measured of the shipped checkpoints; nothing where a demo brings none.

    Args:
        demo: the folder of `fidelity.json` and `fidelity.npz`.
    """

    def __init__(self, demo: Path) -> None:
        self._numbers = demo / "fidelity.json"
        self._videos = demo / "fidelity.npz"

    @property
    def there(self) -> bool:
        """Whether there are numbers."""
        return self._numbers.is_file()

    def results(self) -> dict[str, Any]:
        """{models, settings, metrics, curves, notes}, as a run gives them."""
        return {name: value for name, value in self._read().items() if name != "pairs"}

    def pairs(self) -> list[Pair]:
        """Every pair that was measured; none where its videos are not shipped."""
        if not self._videos.is_file():
            return []
        return [Pair(**values) for values in self._read().get("pairs", [])]

    def has(self, clip: str) -> bool:
        """Whether an id names one of these clips."""
        return clip.startswith(f"{SAMPLE}/") and any(
            clip in (pair.imagined, pair.real) for pair in self.pairs()
        )

    def clip(self, clip: str) -> dict[str, Any]:
        """What a player needs of one of these clips: `app.player.records.Clip` without a record."""
        from storage.exports.pictures import read_mp4

        [pair] = [pair for pair in self.pairs() if clip in (pair.imagined, pair.real)]
        dreamt = clip == pair.imagined
        with np.load(self._videos, allow_pickle=False) as archive:
            name = clip.removeprefix(f"{SAMPLE}/")
            arrays = {
                part: archive[f"{name}/{part}"].astype(float).round(4).tolist() if dreamt else []
                for part in ("ends", "probabilities", "real_probabilities")
            }
            actions = archive[f"{pair.imagined.removeprefix(f'{SAMPLE}/')}/actions"]
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
            return archive[f"{pair.imagined.removeprefix(f'{SAMPLE}/')}/film"].tobytes()

    def _read(self) -> dict[str, Any]:
        return _document(self._numbers, self._numbers.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _document(path: Path, _changed: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found
