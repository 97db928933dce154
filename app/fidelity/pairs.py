"""A real episode beside what its actions became in a dream: what is said of the two."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from app.live.pairs import CELLS
from app.player.media import film
from storage.episodes.trajectories import EpisodeRow

FILM_FRAMES = 12
BEFORE = 4  # frames of a film before the two part
REALLY = {True: "really succeeded", False: "really failed", None: "nobody said how it ended"}
Frames = npt.NDArray[np.uint8]


class PairRecord(TypedDict):
    """A pair as the screen lists it; `cell` is where it stands at the end."""

    imagined: str
    real: str | None
    start_id: int
    cell: str | None
    end_step: int
    onset: int | None
    frame: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two videos of one length, frame by frame under the same actions.

    Attributes:
        imagined, real: ids of their clips; None where the real one is not here.
        success, end_step: the dream as its reward model judged it.
        real_success: None where nobody has said how the real episode ended.
        psnr: in dB by frame, from frame 1; empty where it was not measured.
        onset: the frame from which the reward model sees the two apart; None if it does not, or
            if an earlier version measured it.
    """

    imagined: str
    real: str | None
    start_id: int
    length: int
    success: bool
    end_step: int
    real_success: bool | None
    real_end_step: int
    psnr: Sequence[float]
    onset: int | None

    def cell(self, depth: int = 0) -> str | None:
        """Where it stands in the matrix of what had happened by a depth; 0 means by the end.

        Nowhere where nobody has said how the real episode ended.
        """
        real, imagined = self.real_success, self.success
        if real is None:
            return None
        if depth:
            real = real and self.real_end_step <= depth
            imagined = imagined and self.end_step <= depth
        return CELLS[real, imagined]

    def quality(self, depth: int = 0) -> float:
        """PSNR at a frame, in dB, or its mean; what was not measured comes last."""
        if not len(self.psnr):
            return float("inf")
        if 0 < depth <= len(self.psnr):
            return float(self.psnr[depth - 1])
        return sum(self.psnr) / len(self.psnr)

    def record(self, depth: int, frame: int) -> PairRecord:
        """What a list shows of it; opened at a frame."""
        return {
            "imagined": self.imagined,
            "real": self.real,
            "start_id": self.start_id,
            "cell": self.cell(),
            "end_step": self.end_step,
            "onset": self.onset,
            "frame": frame,
            "text": self._words(depth),
        }

    def _words(self, depth: int) -> str:
        real = REALLY[self.real_success]
        quality = self.quality(depth)
        where = f" at frame {depth}" if 0 < depth <= self.length else " on average"
        measured = "" if quality == float("inf") else f", {quality:.1f} dB{where}"
        parts = "" if self.onset is None else f", apart from frame {self.onset}"
        return f"{real}, judged {'a success' if self.success else 'a failure'}{measured}{parts}"


def pair_of(row: EpisodeRow, real: str | None) -> Pair:
    """The pair of a dream that a fidelity run stored."""
    lineage: Mapping[str, object] = row.lineage
    onset, psnr = lineage.get("onset"), lineage.get("psnr")
    end = lineage.get("real_end_step")
    return Pair(
        imagined=row.id,
        real=real,
        start_id=row.start_id,
        length=row.num_actions,
        success=row.success,
        end_step=row.end_step,
        real_success=said if isinstance(said := lineage["real_success"], bool) else None,
        real_end_step=end if isinstance(end, int) else 0,
        psnr=psnr if isinstance(psnr, list) else [],
        onset=onset if isinstance(onset, int) else None,
    )


def pair_film(dream: Frames, real: Frames, pair: Pair) -> bytes:
    """How the two part and where the dream ends, as one film: dream left, reality right."""
    last = min(pair.end_step if pair.success else pair.length, len(dream) - 1)
    first = max(0, min(last - FILM_FRAMES + 1, (pair.onset or last) - BEFORE))
    chosen = np.linspace(first, last, FILM_FRAMES).round().astype(int)
    beside = real[np.minimum(chosen, len(real) - 1)]
    return film(np.concatenate([dream[chosen], beside], axis=2))
