"""Export and import of the Data page: what is chosen, how large it is, and the work itself."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.access import Access
from app.episodes.exports import DATASETS, FORMATS, LARGEST_FILE, LOGS, Exports
from app.episodes.gallery import Filter, Gallery, View, given
from app.runs.errands import ErrandRecord, Errands, Progress
from app.runs.handover import Handover, stamp
from app.web.checks import check_choice
from app.web.questions import parse
from engine.config import Config, knob
from storage.cabinet import Cabinet
from storage.downloads.plans import size_words
from storage.episodes.trajectories import EpisodeRow

MOST_CHOSEN, MOST_WEIGHED, MOST_SAID = 10_000, 3, 20


@dataclass(frozen=True, kw_only=True)
class Choice(Config):
    """What goes out: labels, preferences, or the episodes of a filter, a view or some ids."""

    what: str = knob(help="episodes or a log", choices=("episodes", *LOGS))
    format: str = knob(help="of the file")
    filter: Filter | None = knob(None, "episodes that fit")
    view: str | None = knob(None, "episodes of a saved view")
    ids: tuple[str, ...] | None = knob(None, "these episodes")


@dataclass(frozen=True, kw_only=True)
class Examine(Config):
    """An uploaded file to take in."""

    upload: str = knob(help="its id")
    name: str = knob(help="of the file; its ending says the format")
    dry_run: bool = knob(True, "report only")


class Exchange:
    """Files of episodes and labels, made and taken in as errands."""

    def __init__(
        self,
        cabinet: Cabinet,
        exports: Exports,
        gallery: Gallery,
        errands: Errands,
        handover: Handover,
        *,
        access: Access,
    ) -> None:
        self._cabinet, self._exports, self._gallery = cabinet, exports, gallery
        self._errands, self._handover, self._access = errands, handover, access

    def plan(self, question: Choice) -> dict[str, Any]:
        """{items, bytes, text} of the file that `export` would make.

        `bytes` is an estimate where there are more than `MOST_WEIGHED` episodes.
        """
        what = question.what
        if what in LOGS:
            kind = check_choice("format", question.format, LOGS[what])
            size = len(self._exports.log_file(what, kind))
            events = self._cabinet.audit.count(guest=self._access.guest, log=what)
            words = _words(events, f"{what.removesuffix('s')} event", size)
            return {"items": events, "bytes": size, "text": words}
        kind = check_choice("format", question.format, DATASETS)
        rows = self._chosen(question)
        size = self._weigh(rows, kind)
        return {"items": len(rows), "bytes": size, "text": _words(len(rows), "episode", size)}

    def export(self, question: Choice) -> ErrandRecord:
        """As `plan`, but makes the file: an errand whose result is {name, bytes}."""
        what = question.what
        known = LOGS.get(what) or {name: FORMATS[name] for name in DATASETS}
        kind = check_choice("format", question.format, known)
        self._access.spend("exports")
        name = f"{what}-{stamp()}{known[kind][0]}"
        path = self._handover.place(name)
        rows = self._chosen(question) if what == "episodes" else []

        def work(progress: Progress) -> dict[str, Any]:
            try:
                if what in LOGS:
                    path.write_bytes(self._exports.log_file(what, kind))
                else:
                    write_episodes = self._exports.writer(kind)
                    write_episodes(path, self._items(rows, progress))
            except BaseException:
                path.unlink(missing_ok=True)
                raise
            return {"name": name, "bytes": path.stat().st_size, "file": path.name}

        return self._errands.start("export", name, work, unit=what)

    def examine(self, question: Examine) -> ErrandRecord:
        """An errand that reads an uploaded file and reports.

        Its result is {episodes, added, labels, known, problems, more, text}, `labels` being
        preferences where the file holds such; with a problem, or as
        a dry run, nothing is stored.
        """
        path, name = self._handover.uploaded(question.upload), question.name
        dry_run = question.dry_run
        what, kind = log_format(name)

        def work(progress: Progress) -> dict[str, Any]:
            if kind:
                found = self._said(what, kind, path, dry_run)
            else:
                found = self._exports.take_in_file(path, dry_run=dry_run)
                found["episodes"] = len(found["episodes"])
            if not dry_run and not found["problems"]:
                self._handover.drop(question.upload)
            added = {"episode": found["added"], what.removesuffix("s"): found["labels"]}
            known = found.get("known", found["episodes"] - found["added"])
            return found | import_report(added, known, found["problems"], dry_run=dry_run)

        return self._errands.start("import", name, work)

    def _said(self, what: str, kind: str, path: Path, dry_run: bool) -> dict[str, Any]:
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError(f"a file of {what} may have {LARGEST_FILE // 2**20} MB")
        report = self._exports.take_in_log(what, kind, path.read_bytes(), dry_run=dry_run)
        return report | {"episodes": 0, "added": 0, "labels": report["added"]}

    def _chosen(self, question: Choice) -> list[EpisodeRow]:
        """The episodes of a filter, a saved view or a list of ids, oldest first."""
        ids, view, wanted = question.ids, question.view, question.filter
        chosen = {"filter": wanted is not None and given(wanted), "view": view, "ids": ids}
        named = [name for name, value in chosen.items() if value]
        if len(named) > 1:
            raise ValueError(f"choose by one of {', '.join(named)}, not by all")
        store = self._cabinet.trajectories
        most = min(MOST_CHOSEN, self._access.limits.dataset_episodes)
        if ids:
            rows = [store.find(name) for name in ids[: most + 1]]
        else:
            if view:
                views = self._gallery.views()
                wanted = parse(View, views[check_choice("view", view, views)])
            fitting = self._gallery.wanted(wanted or Filter())
            rows = store.episodes(fitting, order="oldest first", limit=most + 1)
        if not rows:
            raise ValueError("no episode fits: choose others")
        if len(rows) > most:
            raise ValueError(f"more than {most} episodes fit: choose fewer")
        return rows

    def _items(self, rows: Sequence[EpisodeRow], progress: Progress) -> Iterator[Any]:
        for number, row in enumerate(rows):
            progress(number, len(rows))
            yield self._exports.labelled(row.id)
        progress(len(rows), len(rows))

    def _weigh(self, rows: Sequence[EpisodeRow], kind: str) -> int:
        """About the bytes of a file of these episodes: a few of them are written and measured."""
        sample = rows[:: -(-len(rows) // MOST_WEIGHED)]
        write = self._exports.writer(kind)
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "sample"
            write(path, [self._exports.labelled(row.id) for row in sample])
            return int(path.stat().st_size * len(rows) / len(sample))


def log_format(name: str) -> tuple[str, str]:
    """(labels or preferences, format) of a file by its name; no format where it is neither."""
    endings = {".jsonl": "jsonl", ".csv": "csv", ".parquet": "parquet", ".json": "label-studio"}
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    what = "preferences" if ".preferences" in suffixes[-2:-1] else "labels"
    return what, endings.get("".join(suffixes[-1:]), "")


def import_report(
    added: Mapping[str, int], known: int, problems: Sequence[str], *, dry_run: bool
) -> dict[str, Any]:
    """{known, problems: the first of them, more, dry_run, text}: what an import did or would do.

    Args:
        added: how many there are of what is new, by its noun.
    """
    text = amounts(added) or "nothing new"
    text += f"; {known:,} here already" if known else ""
    if problems:
        text = f"{amounts({'problem': len(problems)})}: nothing is imported"
    return {
        "known": known,
        "problems": list(problems[:MOST_SAID]),
        "more": max(0, len(problems) - MOST_SAID),
        "dry_run": dry_run,
        "text": text,
    }


def amounts(counts: Mapping[str, int]) -> str:
    """Numbers of things by their nouns, in words; empty where there is nothing."""
    return " and ".join(_amount(count, noun) for noun, count in counts.items() if count)


def _amount(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' if count != 1 else ''}"


def _words(count: int, noun: str, size: int) -> str:
    return f"{_amount(count, noun)}, about {size_words(size)}"
