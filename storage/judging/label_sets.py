"""Label sets: standing labels, frozen for a training (engine/records/label_set.py has the format).

The directories are the truth: the list of sets is read from them, nothing is kept in the database.
"""

import json
import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.records.durable import move_durably
from engine.records.label_set import LABELS, SetLabel, content_hash, encode_labels, read_label_set
from engine.records.texts import check_fields
from storage.database import Database
from storage.episodes.trajectories import TrajectoryStore

logger = logging.getLogger(__name__)

ABOUT = "label_set.json"
SHORTEST = 8  # letters of a version's name that suffice, where they are unambiguous

# One label per episode: an adjudicated one before others, then the newest. Whoever is not sure, or
# saw the dream break, says nothing that a reward model could learn.
_STANDING = """
select id as episode_id, task, start_id, imagined, run,
    resolved.outcome = 'success' as success,
    json_extract(resolved.event, 'end_step')::integer as end_step
from (
    select * from standing_labels
    where not guest
      and actor = coalesce(?, actor)
      and json_extract_string(event, 'mode') = coalesce(?, json_extract_string(event, 'mode'))
    qualify row_number() over (
        partition by episode_id
        order by (json_extract_string(event, 'mode') like 'adjudicat%') desc, seq desc) = 1
) as resolved
join episodes on episodes.id = resolved.episode_id
where resolved.outcome in ('success', 'fail')
  and not coalesce(resolved.dream_broke, false)
  and imagined = coalesce(?, imagined)
  and task = coalesce(?, task)
  and (?::text is null or run = ?)
order by id
"""


@dataclass(frozen=True, kw_only=True)
class LabelFilter:
    """Which labels; None means any. They are filtered by actor and mode before the one that stands
    of an episode is chosen."""

    actor: str | None = None
    mode: str | None = None
    imagined: bool | None = None
    task: str | None = None
    run: str | None = None


@dataclass(frozen=True, kw_only=True)
class LabelSet:
    """A frozen set.

    Attributes:
        version: its name: SHA-256 of its labels.
        counts: how many labels say `success` and `fail`, and are of `real` and `imagined` episodes.
        filters: what it was frozen with the first time.
        frozen: seconds since the epoch.
    """

    version: str
    directory: Path
    episodes: int
    counts: Mapping[str, int]
    filters: Mapping[str, Any]
    frozen: float


class LabelSets:
    """The label sets of a data directory.

    Args:
        root: holds one directory a set, named by its version.
    """

    def __init__(self, database: Database, trajectories: TrajectoryStore, root: Path) -> None:
        self._database = database
        self._trajectories = trajectories
        self._root = root
        self._writing = threading.Lock()

    def standing(self, wanted: LabelFilter) -> list[SetLabel]:
        """The labels that would be frozen, by episode."""
        rows = self._database.read(
            _STANDING,
            [wanted.actor, wanted.mode, wanted.imagined, wanted.task, wanted.run, wanted.run],
        )
        return [SetLabel(**row) for row in rows]

    def freeze(self, wanted: LabelFilter) -> LabelSet:
        """Keep what stands now; the same content again gives the set that is there.

        Raises:
            ValueError: no label fits.
        """
        labels = self.standing(wanted)
        if not labels:
            raise ValueError("no label fits: there is nothing to freeze")
        content = encode_labels(labels)
        version = content_hash(content)
        with self._writing:
            if not (self._root / version).is_dir():
                self._write(version, content, labels, wanted)
        return self.get(version)

    def all(self) -> list[LabelSet]:
        """Every set, newest first."""
        found = []
        for path in self._root.glob(f"[!.]*/{ABOUT}"):
            try:
                found.append(self._read(path.parent))
            except (OSError, LookupError, RecursionError, TypeError, ValueError) as error:
                logger.warning("the label set in %s is left out: %s", path.parent, error)
        return sorted(found, key=lambda label_set: (-label_set.frozen, label_set.version))

    def get(self, version: str) -> LabelSet:
        """A set by its version, or by the first letters of it.

        Raises:
            LookupError: no set, or several, of that name.
        """
        found = [
            label_set
            for label_set in self.all()
            if len(version) >= SHORTEST and label_set.version.startswith(version)
        ]
        if len(found) != 1:
            raise LookupError(f"there is no label set {version[:64]}")
        return found[0]

    def labels(self, version: str) -> list[SetLabel]:
        """The labels of a set.

        Raises:
            LookupError: no such set.
            ValueError: its labels were changed after it was frozen.
        """
        return read_label_set(self.get(version).directory)

    def roots(self, version: str) -> list[str]:
        """Run directories and folders that hold the episodes of a set.

        Raises:
            LookupError: no such set.
            ValueError: a changed set, or an episode that is gone or is not on this machine.
        """
        names = [label.episode_id for label in self.labels(version)]
        places = self._trajectories.directories(names)
        missing = [name for name in names if name not in places]
        if missing:
            raise ValueError(f"{len(missing)} labelled episodes are gone, {missing[0]} among them")
        folders = {place.parent for place in places.values()}
        return sorted(
            str(folder.parent if (folder.parent / "events.jsonl").is_file() else folder)
            for folder in folders
        )

    def _write(
        self, version: str, content: bytes, labels: list[SetLabel], wanted: LabelFilter
    ) -> None:
        self._root.mkdir(exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=self._root, prefix=".partial-"))
        successes = sum(label.success for label in labels)
        imagined = sum(label.imagined for label in labels)
        about = {
            "label_set": version,
            "episodes": len(labels),
            "counts": {
                "success": successes,
                "fail": len(labels) - successes,
                "real": len(labels) - imagined,
                "imagined": imagined,
            },
            "filters": {name: value for name, value in asdict(wanted).items() if value is not None},
            "frozen": time.time(),
        }
        try:
            (partial / LABELS).write_bytes(content)
            (partial / ABOUT).write_text(json.dumps(about, indent=1) + "\n")
            partial.chmod(0o755)
            move_durably(partial, self._root / version)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _read(self, directory: Path) -> LabelSet:
        about = json.loads((directory / ABOUT).read_text())
        check_fields(LabelSet, about)
        return LabelSet(
            version=directory.name,
            directory=directory,
            episodes=about["episodes"],
            counts=about["counts"],
            filters=about["filters"],
            frozen=about["frozen"],
        )
