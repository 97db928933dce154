"""Success thresholds that people chose for a reward model; the last version is the current one."""

import dataclasses
import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.records.durable import append_durably
from engine.records.events import encode_line, read_events
from engine.records.texts import check_fields
from storage.database import Database

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ThresholdVersion:
    """A threshold as it was saved.

    Attributes:
        id: of its content: the first 16 hex digits of a SHA-256 over all other fields.
        seq: position in the log, from 1; the highest of a reward model is its current one.
        reward_model: hash of the checkpoint it belongs to.
        threshold: probability that counts as success, in (0, 1].
        created: seconds since the epoch.
        measures: what it was worth then, by kind: {"real": {"f1": …, "precision": …}, …}.
    """

    id: str
    seq: int
    reward_model: str
    threshold: float
    actor: str
    created: float
    note: str
    measures: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return dataclasses.asdict(self)


class ThresholdStore:
    """Threshold versions in a synced JSONL file, and a row each; opening makes the two agree."""

    def __init__(
        self, database: Database, twin: Path, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._twin = twin
        self._clock = clock
        self._lock = threading.Lock()
        self._reconcile()

    def save(
        self,
        reward_model: str,
        threshold: float,
        *,
        actor: str = "local",
        note: str = "",
        measures: Mapping[str, Any],
    ) -> ThresholdVersion:
        """Make a threshold the current one of a reward model, durably.

        Raises:
            ValueError: no reward model is named, or no success probability can be meant.
            OSError: the file cannot be written: nothing was stored.
        """
        if not reward_model:
            raise ValueError("a threshold belongs to a reward model, and none is named")
        if not 0.0 < threshold <= 1.0:
            raise ValueError(f"a threshold lies above 0 and at most at 1, not at {threshold:g}")
        with self._lock:
            [last] = self._database.read("select coalesce(max(seq), 0) as seq from thresholds")
            content: dict[str, Any] = {
                "seq": last["seq"] + 1,
                "reward_model": reward_model,
                "threshold": threshold,
                "actor": actor,
                "created": self._clock(),
                "note": note,
                "measures": dict(measures),
            }
            version = ThresholdVersion(id=content_id(content), **content)
            self._prove(version)
            append_durably(self._twin, encode_line(version.to_dict()))
            self._insert([version])
            return version

    def current(self, reward_model: str) -> ThresholdVersion | None:
        """The threshold saved last for a reward model; None: its checkpoint's own counts."""
        return next(iter(self.all(reward_model)), None)

    def all(self, reward_model: str) -> list[ThresholdVersion]:
        """Every threshold saved for a reward model, newest first."""
        rows = self._database.read(
            "select * from thresholds where reward_model = ? order by seq desc", [reward_model]
        )
        return [_parse(row) for row in rows]

    def _prove(self, version: ThresholdVersion) -> None:
        """Refuse what no row could hold, before it is written.

        Raises:
            ValueError: a text that is no Unicode, or another type.
        """
        check_fields(ThresholdVersion, version.to_dict())

    def _insert(self, versions: list[ThresholdVersion]) -> None:
        rows = [
            version.to_dict() | {"measures": json.dumps(dict(version.measures))}
            for version in versions
        ]
        conflict = "on conflict do nothing"
        for row, reason in self._database.insert_each("thresholds", rows, conflict=conflict):
            logger.warning("the threshold %s is set aside: %s", row["id"], reason)

    def _reconcile(self) -> None:
        in_twin: dict[str, ThresholdVersion] = {}
        for _, values in read_events(self._twin):
            try:
                check_fields(ThresholdVersion, values)
                version = ThresholdVersion(**values)
                if version.id == content_id(values):
                    in_twin[version.id] = version
            except (TypeError, ValueError) as error:
                logger.warning("a line of %s is left out: %s", self._twin.name, error)
        stored = [_parse(row) for row in self._database.read("select * from thresholds")]
        known = {version.id for version in stored}
        self._insert([version for name, version in in_twin.items() if name not in known])
        lost = [version for version in stored if version.id not in in_twin]
        if lost:
            append_durably(self._twin, b"".join(encode_line(one.to_dict()) for one in lost))


def content_id(values: Mapping[str, Any]) -> str:
    """What a version is called: a hash of everything else that it says."""
    content = {name: value for name, value in values.items() if name != "id"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _parse(row: Mapping[str, Any]) -> ThresholdVersion:
    return ThresholdVersion(**{**row, "measures": json.loads(row["measures"])})
