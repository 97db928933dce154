"""The directory of one download: what is planned, what is half there, what is whole."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.records.durable import write_json_durably
from storage.downloads.listings import RemoteFile
from storage.downloads.plans import DownloadPlan, plan_record, read_plan

PLAN, MARKER = "plan.json", "complete.json"


@dataclass(frozen=True)
class Room:
    """`plan.json` (written first), `parts/`, `files/` and `complete.json` (written last).

    A registered folder's files stay where they are; its room holds the two records alone.
    """

    directory: Path

    def exists(self) -> bool:
        """Whether a download was begun here."""
        return (self.directory / PLAN).is_file()

    def begin(self, plan: DownloadPlan) -> None:
        """Make the room, unless it is there; of an earlier attempt nothing is lost."""
        self.directory.mkdir(parents=True, exist_ok=True)
        write_json_durably(self.directory / PLAN, plan_record(plan))

    def plan(self) -> DownloadPlan:
        """The plan that the room was made for.

        Raises:
            ValueError: there is none that can be read.
        """
        return read_plan(self.directory / PLAN)

    def files(self, plan: DownloadPlan) -> Path:
        """The folder that holds the files of a complete download."""
        return Path(plan.directory) if plan.directory else self.directory / "files"

    def target(self, plan: DownloadPlan, file: RemoteFile) -> Path:
        """Where a whole file lies."""
        return self.files(plan) / file.path

    def part(self, number: int) -> Path:
        """Where the file of a place in the plan lies while it is fetched."""
        return self.directory / "parts" / f"{number:05d}.part"

    def fetched_bytes(self, plan: DownloadPlan) -> int:
        """Bytes that are here already, whole or half."""
        places = [
            (file.bytes, path)
            for number, file in enumerate(plan.files)
            for path in (self.target(plan, file), self.part(number))
        ]
        return sum(min(size, path.stat().st_size) for size, path in places if path.is_file())

    def finish(self, plan: DownloadPlan, hashes: Mapping[str, str]) -> None:
        """Say that every file is whole; `hashes` are their SHA-256 by path."""
        entries = [
            {"name": file.path, "bytes": file.bytes, "sha256": hashes.get(file.path, file.sha256)}
            for file in plan.files
        ]
        record = {"source": plan.source, "revision": plan.revision, "files": entries}
        write_json_durably(self.directory / MARKER, record)
        shutil.rmtree(self.directory / "parts", ignore_errors=True)

    def hashes(self) -> dict[str, str]:
        """{path: SHA-256} of a download that was finished, else nothing."""
        try:
            entries = json.loads((self.directory / MARKER).read_text())["files"]
            return {str(entry["name"]): str(entry["sha256"]) for entry in entries}
        except (OSError, ValueError, LookupError, TypeError):
            return {}

    def is_complete(self, plan: DownloadPlan) -> bool:
        """Whether the download was finished and every file still has its size."""
        return self.hashes().keys() == {file.path for file in plan.files} and self.holds(plan)

    def holds(self, plan: DownloadPlan) -> bool:
        """Whether every file is in its place, with its size."""
        targets = [(file.bytes, self.target(plan, file)) for file in plan.files]
        return all(path.is_file() and path.stat().st_size == size for size, path in targets)
