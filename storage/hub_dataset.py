"""A dataset of the Hub on this machine: `python -m storage.hub_dataset SOURCE` fetches it, once.

For a shell: the studio itself fetches on its own threads and remembers it in its database. Both go
through the same guarded door.
"""

import json
import os
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from engine.records.file_locks import hold
from engine.records.tasks import task_folder
from storage.downloads.download_room import Room
from storage.downloads.download_work import Work
from storage.downloads.fetch import StoppedError
from storage.downloads.hub import list_hub, login, login_headers
from storage.downloads.plans import (
    RESERVE_BYTES,
    DownloadPlan,
    make_plan,
    size_words,
    space_sentence,
)
from storage.downloads.progress import Progress
from storage.downloads.sources import Rules, parse_source, rules_from
from storage.downloads.web import Web, scrub

TOLD_SECONDS = 1.0


def fetched(text: str, root: Path, rules: Rules) -> tuple[DownloadPlan, Path]:
    """What a text names on the Hub, and the folder below `root` in which all of it lies.

    Raises:
        ValueError: it is not there, is damaged, or does not fit on the disk.
        OSError: the Hub did not answer, or the disk refuses.
        BlockingIOError: somebody else fetches it just now.
    """
    web, token = Web(rules), login()
    try:
        source = parse_source(text, rules)
        plan = make_plan(source, list_hub(source, web, rules, token), task="", parts=())
        room = Room(root / plan.key)
        room.directory.mkdir(parents=True, exist_ok=True)
        with hold(room.directory / "lock"):
            needed = plan.bytes - room.fetched_bytes(plan)
            if shortage := space_sentence(needed, shutil.disk_usage(root).free, RESERVE_BYTES):
                raise ValueError(shortage)
            room.begin(plan)
            if not room.is_complete(plan):
                _fetch(plan, room, web, rules, token)
        return plan, room.files(plan)
    finally:
        web.close()


def _fetch(plan: DownloadPlan, room: Room, web: Web, rules: Rules, token: str | None) -> None:
    stop, progress = threading.Event(), Progress(plan.bytes)
    work = Work(
        web=web,
        plan=plan,
        room=room,
        login=lambda file: login_headers(file.url, rules, token),
        whole={},
        stop=stop,
        progress=progress,
        wait_seconds=1.0,
    )
    with ThreadPoolExecutor(1) as pool:
        try:
            done = pool.submit(work.do)
            while not done.done():
                wait([done], TOLD_SECONDS)
                told = f"{size_words(progress.done)} of {size_words(plan.bytes)}"
                sys.stderr.write(f"\rfetched {told} of {plan.source}")
            sys.stderr.write("\n")
            done.result()
        finally:
            stop.set()


def main(arguments: list[str]) -> int:
    """Say {folder, name, revision} of the source in one line, or what is wrong with it."""
    try:
        root = task_folder().parent / "recordings"
        plan, folder = fetched(arguments[0], root, rules_from(os.environ))
    except (ValueError, OSError, StoppedError) as error:
        sys.stderr.write(f"error: {scrub(str(error))}\n")
        return 2
    name = plan.source.partition("@")[0].rpartition("/")[2]
    told = {"folder": str(folder), "name": name, "revision": plan.revision}
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
