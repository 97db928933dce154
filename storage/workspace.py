"""The data directory: where a studio keeps everything it must not lose."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "WMPO_DATA_DIR"


@dataclass(frozen=True)
class Workspace:
    """Names of the places inside one data directory.

    Attributes:
        root: the data directory; everything below belongs to the studio.
    """

    root: Path

    @property
    def database(self) -> Path:
        """The DuckDB file; opened by `storage.database` only, never read as a file."""
        return self.root / "studio.duckdb"

    @property
    def label_twin(self) -> Path:
        """Every label event, one CRC-checked line each: the system of record for labels."""
        return self.root / "labels.jsonl"

    @property
    def preference_twin(self) -> Path:
        """Every comparison of two clips, one CRC-checked line each: the system of record."""
        return self.root / "preferences.jsonl"

    @property
    def threshold_twin(self) -> Path:
        """Every threshold that was ever saved, one CRC-checked line each."""
        return self.root / "thresholds.jsonl"

    @property
    def episodes(self) -> Path:
        """Episodes saved by hand; those of a run lie in its run directory."""
        return self.root / "episodes"

    @property
    def runs(self) -> Path:
        """One run directory per run."""
        return self.root / "runs"

    @property
    def checkpoints(self) -> Path:
        """Checkpoints in our format that came from elsewhere; those of a run lie with the run."""
        return self.root / "checkpoints"

    @property
    def downloads(self) -> Path:
        """What was fetched from elsewhere: foreign files, one room per download."""
        return self.root / "downloads"

    @property
    def label_sets(self) -> Path:
        """Frozen labels that reward models learn from: one directory a set, named by its hash."""
        return self.root / "label_sets"

    @property
    def starts(self) -> Path:
        """First frames of dreams that are not shipped: rendered, uploaded, or of episodes."""
        return self.root / "starts"

    @property
    def twins(self) -> Path:
        """The ledger of real episodes that were played beside dreams."""
        return self.root / "twins"

    @property
    def locks(self) -> Path:
        """One lock file per GPU and per place on the CPU: who computes there."""
        return self.root / "locks"

    @property
    def queues(self) -> Path:
        """Queues of clips to judge, one file each."""
        return self.root / "queues"

    @property
    def failure_modes(self) -> Path:
        """The taxonomy of failures."""
        return self.root / "failure_modes.json"

    @property
    def views(self) -> Path:
        """Saved filters of the wall of episodes."""
        return self.root / "views.json"

    @property
    def put_aside(self) -> Path:
        """Episodes that somebody wants judged first."""
        return self.root / "put_aside.json"

    @property
    def registered(self) -> Path:
        """Checkpoint directories of this machine that were given a name."""
        return self.root / "registered.json"

    @property
    def folders(self) -> Path:
        """Folders of this machine that were registered as sources of checkpoints."""
        return self.root / "folders.json"

    @property
    def exports(self) -> Path:
        """The only directory that DuckDB itself may read and write."""
        return self.root / "exports"

    @property
    def backups(self) -> Path:
        """Whole backups (`storage.upkeep.backup`), until somebody carries them away."""
        return self.root / "backups"

    @property
    def sync(self) -> Path:
        """Where label parts go, and how far they are."""
        return self.root / "sync.json"

    @property
    def thumbnails(self) -> Path:
        """Films of decisive windows, made once; may be deleted at any time."""
        return self.root / "thumbnails"

    @property
    def quarantine(self) -> Path:
        """Database files that could not be opened, kept for inspection."""
        return self.root / "quarantine"


def data_directory(environ: Mapping[str, str]) -> Path:
    """Where the studio keeps its data: `WMPO_DATA_DIR`, else `~/.wmpo/studio`."""
    return Path(environ.get(VARIABLE) or "~/.wmpo/studio").expanduser()


def open_workspace(root: Path) -> Workspace:
    """Create the data directory and its rooms where they are missing.

    Raises:
        ValueError: the directory lies inside the checkout (its files would be served or
            committed), is a file, or cannot be written.
    """
    root = root.expanduser().resolve()
    checkout = Path(__file__).resolve().parent.parent
    if root == checkout or checkout in root.parents:
        raise ValueError(
            f"the data directory {root} lies inside the program's own directory; "
            f"set {VARIABLE} to a place outside it"
        )
    if "?" in str(root):  # DuckDB takes what follows for options
        raise ValueError(
            f"the data directory {root} has a '?' in its name, which a database cannot lie under; "
            f"set {VARIABLE} to another place"
        )
    workspace = Workspace(root)
    try:
        rooms = [workspace.episodes, workspace.runs, workspace.exports, workspace.quarantine]
        rooms += [workspace.checkpoints, workspace.downloads, workspace.locks, workspace.queues]
        for room in rooms:
            room.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"the data directory {root} cannot be used: {error.strerror}") from error
    return workspace
