"""Episodes as files to take away, and exported episodes taken back in."""

import base64
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from app.access import Access
from engine.config import Config, knob
from engine.records.tasks import get_task
from engine.records.types import Trajectory
from storage.cabinet import Cabinet
from storage.events.labels import LabelEvent, is_guest
from storage.exports.bundle import pack

if TYPE_CHECKING:
    from storage.exports.contents import LabelledEpisode

Found = Sequence[tuple[Trajectory, Sequence[LabelEvent]]]

# format -> (end of the file's name, media type)
FORMATS = {
    "mp4": (".mp4", "video/mp4"),
    "gif": (".gif", "image/gif"),
    "png": (".png", "image/png"),
    "zip": (".wmpo.zip", "application/zip"),
    "lerobot": (".lerobot.zip", "application/zip"),
    "wmpo": (".wmpo.tar", "application/x-tar"),
    "robomimic": (".hdf5", "application/x-hdf5"),
}
DATASETS = ("lerobot", "wmpo", "robomimic")  # formats that hold many episodes
LABEL_FORMATS = {
    "jsonl": (".jsonl", "application/jsonl"),
    "csv": (".csv", "text/csv"),
    "parquet": (".parquet", "application/vnd.apache.parquet"),
    "label-studio": (".label-studio.json", "application/json"),
}
PREFERENCE_FORMATS = {
    kind: (f".preferences{LABEL_FORMATS[kind][0]}", LABEL_FORMATS[kind][1])
    for kind in ("jsonl", "csv", "parquet")
}
LOGS = {"labels": LABEL_FORMATS, "preferences": PREFERENCE_FORMATS}
MOST_EPISODES = 100  # of one dataset
LARGEST_FILE = 64 * 2**20  # bytes of a file that is taken in
LARGEST_SCALE, SHOWN_SIDE = 16, 256  # videos are enlarged to about this many pixels by default


@dataclass(frozen=True, kw_only=True)
class Export(Config):
    """An episode as a file; a dataset holds one or many."""

    format: str = knob(help="of the file", choices=tuple(FORMATS))
    episode: str | None = knob(None, "its id")
    episodes: tuple[str, ...] | None = knob(None, "ids, of a dataset")
    scale: int | None = knob(None, "how much a video is enlarged", low=1, high=LARGEST_SCALE)


@dataclass(frozen=True, kw_only=True)
class Import(Config):
    """Episodes from a file that `Export` made."""

    data: str = knob(help="the file as a data URI", high=LARGEST_FILE * 4 // 3 + 200)
    dry_run: bool = knob(False, "report only")


class Exports:
    """Makes files of stored episodes and labels, and takes such files back in."""

    def __init__(self, cabinet: Cabinet, *, access: Access) -> None:
        self._cabinet = cabinet
        self._access = access

    def export(self, question: Export) -> dict[str, Any]:
        """{name, media_type, data: a data URI} of one episode or a dataset.

        mp4, gif and png are pictures, enlarged by a whole number; zip is exact and comes back by
        `take_in`, and so do lerobot, wmpo and robomimic, each of one or many `episodes`.
        """
        self._access.spend("exports")
        kind = question.format
        names = question.episodes or ((question.episode,) if question.episode else ())
        if not names:
            raise ValueError("episode is missing")
        if kind in DATASETS:
            return self._dataset(kind, names)
        if len(names) > 1:
            raise ValueError(f"a file of {kind} shows one episode, not {len(names)}")
        episode = self._cabinet.trajectories.get(names[0])
        side = max(episode.frames.shape[1:3])
        usual = 1 if kind == "png" else min(LARGEST_SCALE, max(1, SHOWN_SIDE // side))
        scale = question.scale or usual
        data = pack(episode) if kind == "zip" else _drawn(kind)(episode.frames, scale=scale)
        return _file(episode.id, kind, data)

    def take_in(self, question: Import) -> dict[str, Any]:
        """{episodes: ids, added, labels: how many new, problems: sentences} of a file.

        With a problem, or as a dry run, nothing was stored.

        Raises:
            ValueError: no file came.
        """
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "episodes"
            path.write_bytes(_bytes(question.data))
            return self.take_in_file(path, dry_run=question.dry_run)

    def take_in_file(self, path: Path, *, dry_run: bool) -> dict[str, Any]:
        """As `take_in`, from a file on this machine."""
        from storage.exports.formats import read_episodes

        try:
            found = read_episodes(path)
        except ValueError as error:
            return _refused([str(error)])
        if found.problems:
            return _refused([str(problem) for problem in found.problems])
        return self._report([(i.episode, i.events) for i in found.episodes], dry_run=dry_run)

    def writer(self, kind: str) -> Callable[[Path, "Iterable[LabelledEpisode]"], None]:
        """The function that writes episodes in one of the formats of `DATASETS`."""
        from storage.exports.formats import FORMATS

        return FORMATS[kind][1]

    def labelled(self, name: str) -> "LabelledEpisode":
        """An episode with the labels that this studio may hand out.

        Raises:
            LookupError: no such episode.
        """
        from storage.exports.contents import LabelledEpisode

        labels = self._cabinet.labels
        standing = labels.current(name, guest=self._access.guest)
        return LabelledEpisode(
            episode=self._cabinet.trajectories.get(name),
            events=[event for event in labels.events(name) if self._ours(event)],
            standing=standing.event_id if standing else None,
        )

    def log_file(self, what: str, kind: str) -> bytes:
        """All labels or preferences that this studio may hand out, in one of their `LOGS`."""
        from storage.exports.events.labels import write_labels
        from storage.exports.events.preferences import write_preferences

        if what == "labels":
            events = [event for event in self._cabinet.labels.events() if self._ours(event)]
            return write_labels(kind, events)
        said = self._cabinet.preferences.events()
        ours = [one for one in said if is_guest(one.preference.actor) == self._access.guest]
        return write_preferences(kind, ours)

    def take_in_log(self, what: str, kind: str, data: bytes, *, dry_run: bool) -> dict[str, Any]:
        """Labels or preferences from a file of `log_file`: {added, known, problems}.

        Raises:
            ValueError: the file is not of that format at all.
        """
        from storage.exports.events.labels import import_labels
        from storage.exports.events.preferences import import_preferences

        store = self._cabinet
        report = (
            import_labels(store.labels, kind, data, dry_run=dry_run)
            if what == "labels"
            else import_preferences(store.preferences, kind, data, dry_run=dry_run)
        )
        return {"added": report.added, "known": report.known, "problems": list(report.problems)}

    def _dataset(self, kind: str, names: Sequence[str]) -> dict[str, Any]:
        most = min(MOST_EPISODES, self._access.limits.dataset_episodes)
        if len(names) > most:
            raise ValueError(f"at most {most} episodes fit into one dataset, not {len(names)}")
        write = self.writer(kind)
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "episodes"
            write(path, map(self.labelled, names))
            data = path.read_bytes()
        return _file(names[0] if len(names) == 1 else "episodes", kind, data)

    def _report(self, found: Found, *, dry_run: bool) -> dict[str, Any]:
        """Store episodes and labels if nothing speaks against any of them."""
        trajectories, labels = self._cabinet.trajectories, self._cabinet.labels
        known = trajectories.find_all([episode.id for episode, _ in found])
        problems = []
        for episode, _ in found:
            try:
                get_task(episode.task)
                if episode.id in known and not _same(trajectories.get(episode.id), episode):
                    raise ValueError(f"there is already another episode {episode.id}")
            except (LookupError, ValueError) as error:
                problems.append(str(error))
        events = sorted((e for _, said in found for e in said), key=lambda event: event.seq)
        for place, reason in labels.objections(events).items():
            problems.append(f"a label of {events[place].label.episode_id}: {reason}")
        if problems:
            return _refused(problems)
        fresh = [episode for episode, _ in found if episode.id not in known]
        new = sum(labels.event(event.label.event_id) is None for event in events)
        if not dry_run:
            try:
                for episode in fresh:
                    trajectories.add(episode)
                labels.take_in(events)
            except BaseException:  # a full disk: all or nothing
                trajectories.remove([episode.id for episode in fresh])
                raise
        names = [episode.id for episode, _ in found]
        return {"episodes": names, "added": len(fresh), "labels": new, "problems": []}

    def _ours(self, event: LabelEvent) -> bool:
        """Whether a label is of this studio's pool."""
        return is_guest(event.label.actor) == self._access.guest


def _refused(problems: list[str]) -> dict[str, Any]:
    return {"episodes": [], "added": 0, "labels": 0, "problems": problems}


def _file(name: str, kind: str, data: bytes) -> dict[str, Any]:
    ending, media_type = FORMATS[kind]
    text = base64.b64encode(data).decode()
    return {
        "name": name + ending,
        "media_type": media_type,
        "data": f"data:{media_type};base64,{text}",
    }


def _bytes(address: str) -> bytes:
    """What a data URI holds."""
    try:
        return base64.b64decode(address.partition(";base64,")[2], validate=True)
    except ValueError as error:
        raise ValueError("the file did not arrive whole: try again") from error


def _drawn(kind: str) -> Callable[..., bytes]:
    """The function that draws frames; its libraries are imported at the first use."""
    from storage.exports import pictures

    functions: dict[str, Callable[..., bytes]] = {
        "mp4": pictures.mp4,
        "gif": pictures.gif,
        "png": pictures.sheet,
    }
    return functions[kind]


def _same(one: Trajectory, other: Trajectory) -> bool:
    return np.array_equal(one.frames, other.frames) and np.array_equal(one.actions, other.actions)
