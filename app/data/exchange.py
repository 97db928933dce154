"""Export and import of the Data page: what is chosen, how large it is, and the work itself."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from app.access import Access
from app.episodes.exports import DATASETS, FORMATS, LARGEST_FILE, LOGS, Exports
from app.episodes.gallery import FILTERS, Gallery
from app.runs.errands import Errands, Progress
from app.runs.handover import Handover, stamp
from app.web.checks import check_choice, check_flag, check_names, check_text
from engine.records.tasks import TASKS
from storage.cabinet import Cabinet
from storage.downloads.plans import size_words
from storage.episodes.trajectories import EpisodeRow

MOST_CHOSEN, MOST_WEIGHED, MOST_SAID = 10_000, 3, 20
CHOICE = ("what", "filter", "view", "ids", "format")


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

    def plan(self, query: object) -> dict[str, Any]:
        """{what, format, filter?, view?, ids?} -> {items, bytes, text}.

        `what` is episodes, labels or preferences. `bytes` is an estimate where there are more
        than `MOST_WEIGHED` episodes.
        """
        values = check_names(query, allowed=CHOICE, required=("what", "format"))
        what = check_choice("what", values["what"], ("episodes", *LOGS))
        if what in LOGS:
            kind = check_choice("format", values["format"], LOGS[what])
            size = len(self._exports.log_file(what, kind))
            events = self._cabinet.audit.count(guest=self._access.guest, log=what)
            words = _words(events, f"{what.removesuffix('s')} event", size)
            return {"items": events, "bytes": size, "text": words}
        kind = check_choice("format", values["format"], DATASETS)
        rows = self._chosen(values)
        size = self._weigh(rows, kind)
        return {"items": len(rows), "bytes": size, "text": _words(len(rows), "episode", size)}

    def export(self, query: object) -> dict[str, Any]:
        """As `plan`, but makes the file: an errand whose result is {name, bytes}."""
        values = check_names(query, allowed=CHOICE, required=("what", "format"))
        what = check_choice("what", values["what"], ("episodes", *LOGS))
        known = LOGS.get(what) or {name: FORMATS[name] for name in DATASETS}
        kind = check_choice("format", values["format"], known)
        name = f"{what}-{stamp()}{known[kind][0]}"
        path = self._handover.place(name)
        rows = self._chosen(values) if what == "episodes" else []

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

    def examine(self, query: object) -> dict[str, Any]:
        """{upload, name, task?, dry_run?} -> an errand that reads an uploaded file and reports.

        Its result is {episodes, added, labels, known, problems, more, text}, `labels` being
        preferences where the file holds such; with a problem, or as
        a dry run, nothing is stored.
        """
        values = check_names(
            query, allowed=("upload", "name", "task", "dry_run"), required=("upload", "name")
        )
        path = self._handover.uploaded(values["upload"])
        name = check_text("name", values["name"], 200)
        task = values.get("task") or ""
        if task:
            check_choice("task", task, TASKS)
        dry_run = check_flag("dry_run", values.get("dry_run", True))
        what, kind = log_format(name)

        def work(progress: Progress) -> dict[str, Any]:
            if kind:
                found = self._said(what, kind, path, dry_run)
            else:
                found = self._exports.take_in_file(path, task=str(task), dry_run=dry_run)
                found["episodes"] = len(found["episodes"])
            if not dry_run and not found["problems"]:
                self._handover.drop(str(values["upload"]))
            added = {"episode": found["added"], what.removesuffix("s"): found["labels"]}
            known = found.get("known", found["episodes"] - found["added"])
            return found | import_report(added, known, found["problems"], dry_run=dry_run)

        return self._errands.start("import", name, work)

    def _said(self, what: str, kind: str, path: Path, dry_run: bool) -> dict[str, Any]:
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError(f"a file of {what} may have {LARGEST_FILE // 2**20} MB")
        report = self._exports.take_in_log(what, kind, path.read_bytes(), dry_run=dry_run)
        return report | {"episodes": 0, "added": 0, "labels": report["added"]}

    def _chosen(self, values: Any) -> list[EpisodeRow]:
        """The episodes of a filter, a saved view or a list of ids, oldest first."""
        given = [name for name in ("filter", "view", "ids") if values.get(name)]
        if len(given) > 1:
            raise ValueError(f"choose by one of {', '.join(given)}, not by all")
        store = self._cabinet.trajectories
        most = min(MOST_CHOSEN, self._access.limits.dataset_episodes)
        if values.get("ids"):
            ids = values["ids"]
            if not isinstance(ids, list) or not all(isinstance(name, str) for name in ids):
                raise ValueError("ids must be a list of episode ids")
            rows = [store.find(name) for name in ids[: most + 1]]
        else:
            wanted = values.get("filter") or {}
            if values.get("view"):
                views = self._gallery.views()
                wanted = views[check_choice("view", values["view"], views)]
                wanted = {name: value for name, value in wanted.items() if name in FILTERS}
            checked = check_names(wanted, allowed=FILTERS)
            rows = store.episodes(
                self._gallery.wanted(checked), order="oldest first", limit=most + 1
            )
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
