"""The judged clips that come with the studio: `python -m studies.judged` brings them into it.

Frames of 160 dreams would be tens of megabytes. What is shipped are their replay records, from
which they are imagined again bit for bit (docs/judged_clips.md), and what people said of them.
"""

import hashlib
import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.access import Access
from app.imagine.imagining import Imagining
from app.imagine.questions import PathOf, Replay
from app.imagine.starts import Starts
from app.live.dreams import Dreams
from app.live.simulator import Simulator
from engine.device import limit_threads
from storage.cabinet import Cabinet, open_cabinet
from storage.exports.events.labels import import_labels
from storage.workspace import data_directory, open_workspace

DEMO = Path(__file__).parents[1] / "storage" / "demo"
CLIPS, LABELS = "clips.json", "labels.jsonl"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class JudgedClip:
    """A clip that was judged, and its place in the sample.

    Attributes:
        policy: name of the shipped policy that acted.
        temperature: of the policy.
        stratum: policy and what the reward model said, in words.
        weight: how many dreams of the population it stands for.
        gold: kept apart from training, see `is_gold`.
        token: its permalink, from which it is imagined again.
    """

    episode_id: str
    policy: str
    temperature: float
    stratum: str
    weight: float
    gold: bool
    token: str


@dataclass(frozen=True)
class Restored:
    """What `restore` did: clips imagined again, how many of them bit for bit, labels added."""

    clips: int
    exact: int
    labels: int


def is_gold(episode_id: str) -> bool:
    """Whether a clip belongs to the third that no reward model is trained on, for ever."""
    return hashlib.sha256(episode_id.encode()).digest()[0] % 3 == 0


def read_clips(folder: Path) -> list[JudgedClip]:
    """The clips of a folder such as `storage/demo/judged`."""
    record = json.loads((folder / CLIPS).read_text(encoding="utf-8"))
    return [JudgedClip(**clip) for clip in record["clips"]]


def restore(
    cabinet: Cabinet,
    folder: Path,
    *,
    starts: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Restored:
    """Imagine the clips that are not here yet, and take in what was said of them.

    Args:
        starts: the file of start frames that the dreams begin from.
        progress: told (clips looked at, clips in all) after each.

    Raises:
        ValueError: a checkpoint or a start of a clip is missing, or a label contradicts one that
            is here.
    """
    # Every dream may make room for the next one at once: nobody watches them.
    dreams = Dreams(capacity=1, spare_seconds=0.0)
    simulator = Simulator()
    imagining = Imagining(
        cabinet, dreams, Starts(starts, cabinet.workspace.starts, simulator), access=Access()
    )
    clips = read_clips(folder)
    known = cabinet.trajectories.find_all([clip.episode_id for clip in clips])
    added = exact = 0
    try:
        for number, clip in enumerate(clips, start=1):
            if clip.episode_id not in known:
                again = imagining.replay(Replay(token=clip.token))
                cabinet.trajectories.add(imagining.trajectory(PathOf(dream=again["dream"])))
                added, exact = added + 1, exact + again["exact"]
            progress(number, len(clips))
    finally:
        dreams.close()
        simulator.close()
    report = import_labels(cabinet.labels, "jsonl", (folder / LABELS).read_bytes(), dry_run=False)
    if report.problems:
        raise ValueError(report.problems[0])
    return Restored(added, exact, report.added)


def main() -> None:
    """Restore into the studio's data directory (WMPO_DATA_DIR), which must be closed."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    limit_threads()
    cabinet = open_cabinet(open_workspace(data_directory(os.environ)), demo=DEMO)

    def tell(done: int, total: int) -> None:
        if done % 10 == 0 or done == total:
            logger.info("%d of %d clips", done, total)

    try:
        found = restore(cabinet, DEMO / "judged", starts=DEMO / "starts.npz", progress=tell)
    finally:
        cabinet.close()
    logger.info(
        "%d clips imagined again, %d of them bit for bit; %d labels added",
        *(found.clips, found.exact, found.labels),
    )


if __name__ == "__main__":
    main()
