"""The catalogue of checkpoints: shipped, of runs, registered directories, and adopted ones."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.records.manifest import MANIFEST, checkpoint_hash, verify_manifest
from engine.records.texts import as_unicode
from storage.checkpoints.adopted import AdoptedCheckpoints, checked_name, origin
from storage.database import Database
from storage.documents import Document

ROLES = ("policy", "world_model", "reward_model", "autoencoder")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A model that can be chosen.

    Attributes:
        id: name in the catalogue: `demo/NAME`, `run/RUN/NAME`, `local/NAME` or `hub/NAME`.
        role: one of `ROLES`.
        hash: identity of its weights and config (`engine.records.manifest.checkpoint_hash`).
        config, card: its `config.json` and `card.json`.
        source, revision: where an adopted one came from; empty for the others.
    """

    id: str
    role: str
    name: str
    directory: Path
    hash: str
    config: Mapping[str, Any]
    card: Mapping[str, Any]
    source: str = ""
    revision: str = ""

    @property
    def task(self) -> str:
        """The task it was made for, by its card: named, or the only one in its data; or empty."""
        options, data = (self.card.get(name) for name in ("config", "data"))
        named = self.card.get("task") or (isinstance(options, Mapping) and options.get("task"))
        sources = data if isinstance(data, Mapping) else {}
        tasks = {str(source).split(" ", 1)[0] for source in sources}
        return str(named) if named else tasks.pop() if len(tasks) == 1 else ""


class Catalogue:
    """Finds checkpoints; users choose from it and never type a path on a public site.

    Args:
        demo: `storage/demo`, with shipped checkpoints under `checkpoints/`.
        runs: holds the run directories.
        adopted: holds the checkpoints that came from elsewhere.
        registered: the file of directories of this machine that were given a name.
    """

    def __init__(
        self, database: Database, *, demo: Path, runs: Path, adopted: Path, registered: Path
    ) -> None:
        self._registered = Document(registered, first=lambda: _first_registered(database))
        self._demo = demo
        self._runs = runs
        self._adopted = AdoptedCheckpoints(database, adopted)
        self._known: dict[tuple[str, Path], tuple[int, Checkpoint | None]] = {}

    def all(self, role: str | None = None) -> list[Checkpoint]:
        """Every checkpoint of a role, shipped ones first.

        Raises:
            ValueError: there is no such role.
        """
        if role is not None and role not in ROLES:
            raise ValueError(f"role must be one of {', '.join(ROLES)}, not {role!r}")
        found = [
            checkpoint
            for checkpoint_id, directory in self._places()
            if (checkpoint := self._describe(checkpoint_id, directory)) is not None
        ]
        return [checkpoint for checkpoint in found if role in (None, checkpoint.role)]

    def get(self, checkpoint_id: str) -> Checkpoint:
        """The checkpoint of an id.

        Raises:
            LookupError: no such checkpoint.
        """
        for known_id, directory in self._places():
            if known_id == checkpoint_id:
                checkpoint = self._describe(known_id, directory)
                if checkpoint is not None:
                    return checkpoint
        raise LookupError(f"there is no checkpoint {checkpoint_id}")

    def by_hash(self, digest: str) -> Checkpoint:
        """The checkpoint of an identity, as replay records name it.

        Raises:
            LookupError: no such checkpoint.
        """
        for checkpoint in self.all():
            if checkpoint.hash == digest:
                return checkpoint
        raise LookupError(f"there is no checkpoint with the hash {digest[:12]}…")

    def register(self, name: str, directory: Path) -> Checkpoint:
        """Add a local checkpoint directory to the catalogue, after checking its files.

        Raises:
            ValueError: a bad or taken name, or not a whole checkpoint with a role.
        """
        checked_name(name)
        directory = directory.expanduser().resolve()
        if not directory.is_dir():
            raise ValueError(f"there is no checkpoint directory {directory}")
        verify_manifest(directory)
        checkpoint = self._describe(f"local/{name}", directory)
        if checkpoint is None:
            raise ValueError(f"{directory.name} has no config.json with a role: not a checkpoint")

        def change(known: dict[str, Any]) -> None:
            if known.setdefault(name, str(directory)) != str(directory):
                raise ValueError(f"there is already a checkpoint local/{name}")

        self._registered.change(change)
        return checkpoint

    def adopt(self, name: str, folder: Path, *, source: str, revision: str) -> Checkpoint:
        """Copy a checkpoint in our format that came from elsewhere, bit for bit; `hub/NAME`.

        The folder must have passed the gate: nothing here looks into its weights.

        Raises:
            ValueError: a bad or taken name, or not a whole checkpoint with a role.
        """
        checked_name(name)
        verify_manifest(folder)
        if _read(f"hub/{name}", folder) is None:
            raise ValueError(f"{folder.name} has no config.json with a role: not a checkpoint")
        self._adopted.add(name, folder, source=source, revision=revision)
        return self.get(f"hub/{name}")

    def remove(self, checkpoint_id: str) -> None:
        """Delete an adopted checkpoint, or forget a registered directory, whose files stay.

        Raises:
            LookupError: no such checkpoint.
            ValueError: it was shipped, or belongs to a run.
        """
        kind, _, name = checkpoint_id.partition("/")
        if kind not in ("hub", "local"):
            raise ValueError(f"{checkpoint_id} is not removed: it was shipped or belongs to a run")
        if checkpoint_id not in dict(self._places()):
            raise LookupError(f"there is no checkpoint {checkpoint_id}")
        if kind == "hub":
            self._adopted.remove(name)
            return
        self._registered.change(lambda known: known.pop(name, None))

    def _places(self) -> Iterator[tuple[str, Path]]:
        for path in sorted((self._demo / "checkpoints").glob(f"*/{MANIFEST}")):
            yield f"demo/{path.parent.name}", path.parent
        for path in sorted(self._runs.glob(f"*/checkpoints/*/{MANIFEST}")):
            yield f"run/{path.parts[-4]}/{path.parent.name}", path.parent
        for path in sorted(self._runs.glob(f"*/stages/*/checkpoints/*/{MANIFEST}")):
            run, stage, step = path.parts[-6], path.parts[-4], path.parent.name
            yield f"run/{run}.{stage}/{step}", path.parent
        for name, directory in sorted(self._registered.read().items()):
            if isinstance(directory, str):
                yield f"local/{name}", Path(directory)
        for name, directory in self._adopted.places():
            yield f"hub/{name}", directory

    def _describe(self, checkpoint_id: str, directory: Path) -> Checkpoint | None:
        """The checkpoint of a directory, read again only when its manifest changed."""
        try:
            changed = (directory / MANIFEST).stat().st_mtime_ns
            known = self._known.get((checkpoint_id, directory))
            if known is None or known[0] != changed:
                known = (changed, _read(checkpoint_id, directory))
                self._known[checkpoint_id, directory] = known
            return known[1]
        except (OSError, ValueError, KeyError, TypeError):
            return None  # half there or not ours: nothing a user could choose


def _read(checkpoint_id: str, directory: Path) -> Checkpoint | None:
    config = _json(directory / "config.json")
    card_path = directory / "card.json"
    card = _json(card_path) if card_path.is_file() else {}
    if config.get("role") not in ROLES:
        return None
    source, revision = origin(directory)
    return Checkpoint(
        id=checkpoint_id,
        role=config["role"],
        name=checkpoint_id.split("/", 1)[1],
        directory=directory,
        hash=checkpoint_hash(directory),
        config=config,
        card=card,
        source=source,
        revision=revision,
    )


def _first_registered(database: Database) -> dict[str, Any]:
    """What a studio registered before there was a file for it."""
    rows = database.read("select name, directory from registered_checkpoints")
    return {row["name"]: row["directory"] for row in rows}


def _json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, which may be foreign.

    Raises:
        ValueError: it holds no object.
    """
    try:
        values = json.loads(path.read_text())
    except RecursionError as error:
        raise ValueError(f"{path.name} is nested too deeply") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path.name} holds no object")
    values = as_unicode(values)  # a foreign card may hold what no answer can
    return dict(values)
