"""Ways in which a data directory was seen to be damaged: 50 of its database, 30 of its logs.

Each is a function of the workspace of a closed studio. `stock` fills one with a little of
everything, `acknowledged` says what must never be missing.
"""

import json
import random
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from engine.records.events import encode_line
from engine.records.types import Label, Trajectory
from storage.cabinet import Cabinet, open_cabinet
from storage.events.preferences import Preference
from storage.workspace import Workspace

Damage = Callable[[Workspace], None]

LABELS = 40


def stock(workspace: Workspace, demo: Path, trajectory: Trajectory) -> None:
    """Fill a data directory and end without closing it, so that there is a WAL as well."""
    cabinet = open_cabinet(workspace, demo=demo)
    _half(cabinet, trajectory, range(LABELS // 2))
    cabinet.close()
    script = "from tests.storage.damage import killed; killed()"
    command = [sys.executable, "-c", script, str(workspace.root), str(demo)]
    subprocess.run(command, check=False, timeout=60)


def killed() -> None:
    """In a process of its own: store the second half, and die."""
    import os  # noqa: PLC0415

    cabinet = open_cabinet(Workspace(Path(sys.argv[1])), demo=Path(sys.argv[2]))
    _half(cabinet, None, range(LABELS // 2, LABELS))
    os._exit(9)


def _half(cabinet: Cabinet, trajectory: Trajectory | None, numbers: range) -> None:
    if trajectory is not None:
        cabinet.trajectories.add(trajectory)
        cabinet.views.save("mine", {"kind": "real"})
        cabinet.label_queue.add([trajectory.id])
        cabinet.thresholds.save("f" * 64, 0.5, measures={})
        cabinet.runs.create("run-1", "optimise", {"seed": 3})
    log = cabinet.workspace.runs / "run-1" / "events.jsonl"
    with log.open("ab") as stream:
        for number in numbers:
            event = {"seq": number + 1, "attempt": 1, "time": 5.0, "kind": "metric"}
            stream.write(encode_line(event | {"step": number, "metrics": {"loss": 0.5}}))
    cabinet.ingest.ingest("run-1")
    for number in numbers:
        label = Label(event_id=f"label-{number}", episode_id="episode-1", outcome="fail")
        cabinet.labels.add(label)
    for number in numbers[:3]:
        cabinet.preferences.append(
            Preference(event_id=f"preference-{number}", left="a", right=f"b{number}", choice="left")
        )


def acknowledged(cabinet: Cabinet) -> dict[str, Any]:
    """What was acknowledged, as it is now."""
    return {
        "labels": {event.label.event_id for event in cabinet.labels.events()},
        "preferences": {event.preference.event_id for event in cabinet.preferences.events()},
        "views": cabinet.views.all(),
        "put aside": [
            row["episode_id"] for row in cabinet.database.read("select episode_id from label_queue")
        ],
        "episodes": cabinet.trajectories.ids(),
        "thresholds": [one.threshold for one in cabinet.thresholds.all("f" * 64)],
        "points": len(cabinet.curves.table(["run-1"])),
    }


def _flip(seed: int, suffix: str = "") -> Damage:
    def damage(workspace: Workspace) -> None:
        path = Path(f"{workspace.database}{suffix}")
        content, generator = bytearray(path.read_bytes()), random.Random(seed)
        content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        path.write_bytes(content)

    return damage


def _block(seed: int, fill: int | None, suffix: str = "") -> Damage:
    """A block of 4 KiB overwritten with a byte, or with noise."""

    def damage(workspace: Workspace) -> None:
        path = Path(f"{workspace.database}{suffix}")
        content, generator = bytearray(path.read_bytes()), random.Random(seed)
        place = generator.randrange(max(1, len(content) - 4096))
        block = generator.randbytes(4096) if fill is None else bytes([fill]) * 4096
        content[place : place + 4096] = block[: len(content) - place]
        path.write_bytes(content)

    return damage


def _cut(share: float, suffix: str = "") -> Damage:
    def damage(workspace: Workspace) -> None:
        path = Path(f"{workspace.database}{suffix}")
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return damage


def _zero_tail(size: int, suffix: str = "") -> Damage:
    def damage(workspace: Workspace) -> None:
        path = Path(f"{workspace.database}{suffix}")
        content = path.read_bytes()
        path.write_bytes(content[:-size] + bytes(min(size, len(content))))

    return damage


def _write(content: bytes, suffix: str = "") -> Damage:
    return lambda workspace: (Path(f"{workspace.database}{suffix}").write_bytes(content), None)[1]


def _sql(*statements: str) -> Damage:
    def damage(workspace: Workspace) -> None:
        with duckdb.connect(str(workspace.database)) as connection:
            for statement in statements:
                connection.execute(statement)

    return damage


def _version(workspace: Workspace) -> None:
    """The file says that a later DuckDB wrote it."""
    content = bytearray(workspace.database.read_bytes())
    content[12:20] = (9_999).to_bytes(8, "little")
    workspace.database.write_bytes(content)


def _foreign_wal(workspace: Workspace) -> None:
    other = workspace.root / "other.duckdb"
    script = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]);"
        "c.execute('create table t as select 1 as a'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, str(other)], check=False)
    Path(f"{other}.wal").rename(f"{workspace.database}.wal")
    other.unlink()


def _dropped(name: str, kind: str = "table") -> Damage:
    return _sql(f"drop {kind} {name} cascade" if kind == "view" else f"drop {kind} {name}")


OF_DATABASE: dict[str, Damage] = {
    **{f"bit {seed} of the file flipped": _flip(seed) for seed in range(10)},
    **{f"bit {seed} of the WAL flipped": _flip(seed, ".wal") for seed in range(8)},
    **{f"block {seed} of the file zeroed": _block(seed, 0) for seed in range(4)},
    **{f"block {seed} of the file noise": _block(seed, None) for seed in range(4)},
    "a block of the WAL zeroed": _block(0, 0, ".wal"),
    "a block of the WAL noise": _block(0, None, ".wal"),
    **{f"the file cut to {share:.0%}": _cut(share) for share in (0.0, 0.01, 0.3, 0.9, 0.99)},
    **{f"the WAL cut to {share:.0%}": _cut(share, ".wal") for share in (0.0, 0.3, 0.99)},
    "the file ends in zeros": _zero_tail(8192),
    "the WAL ends in zeros": _zero_tail(64, ".wal"),
    "the file is text": _write(b"not a database" * 1_000),
    "the file is short text": _write(b"no"),
    "the WAL is text": _write(b"not a log" * 100, ".wal"),
    "the file is gone": lambda workspace: workspace.database.unlink(),
    "the WAL is gone": lambda workspace: Path(f"{workspace.database}.wal").unlink(),
    "the WAL of another": _foreign_wal,
    "a later DuckDB's": _version,
    "metrics are gone": _dropped("metrics"),
    "runs are gone": _dropped("runs"),
    "window scores are gone": _dropped("window_scores"),
    "the queue of labels is gone": _dropped("label_queue"),
    "every version is gone": _sql("delete from schema_version"),
    "a column is gone": _sql("alter table thresholds drop column note"),
    "a view is gone": _dropped("own_labels", "view"),
}


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def _odd_line(name: str, **changes: object) -> Damage:
    """A whole line with a true checksum after the others, in a log of what people said."""

    def damage(workspace: Workspace) -> None:
        path = workspace.root / f"{name}.jsonl"
        known = json.loads(_lines(path)[0].partition(b" ")[2])
        event = known | {"event_id": "odd", "seq": LABELS + 1} | changes
        body = json.dumps({key: value for key, value in event.items() if value != "gone"}).encode()
        with path.open("ab") as stream:
            stream.write(b"%08x %s\n" % (zlib.crc32(body), body))

    return damage


def _run_line(**changes: object) -> Damage:
    def damage(workspace: Workspace) -> None:
        event = {"seq": 90, "attempt": 1, "time": 5.0, "kind": "metric", "step": 90}
        event |= {"metrics": {"loss": 1.0}} | changes
        body = json.dumps({key: value for key, value in event.items() if value != "gone"}).encode()
        with (workspace.runs / "run-1" / "events.jsonl").open("ab") as stream:
            stream.write(b"%08x %s\n" % (zlib.crc32(body), body))

    return damage


def _log_flip(seed: int, name: str) -> Damage:
    def damage(workspace: Workspace) -> None:
        path, generator = workspace.root / name, random.Random(seed)
        content = bytearray(path.read_bytes())
        content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        path.write_bytes(content)

    return damage


def _log_cut(name: str, share: float) -> Damage:
    def damage(workspace: Workspace) -> None:
        content = (workspace.root / name).read_bytes()
        (workspace.root / name).write_bytes(content[: int(len(content) * share)])

    return damage


def _log_write(name: str, content: bytes) -> Damage:
    return lambda workspace: ((workspace.root / name).write_bytes(content), None)[1]


def _log_deep(workspace: Workspace) -> None:
    body = b"[" * 100_000 + b"]" * 100_000
    with (workspace.runs / "run-1" / "events.jsonl").open("ab") as stream:
        stream.write(b"%08x %s\n" % (zlib.crc32(body), body))


OF_LOGS: dict[str, Damage] = {
    "half a surrogate pair for an actor": _odd_line("labels", actor="\ud800"),
    "half a surrogate pair in a note": _odd_line("labels", note="\udfff"),
    "a place that is text": _odd_line("labels", seq="next"),
    "a place beyond 64 bits": _odd_line("labels", seq=2**70),
    "a place that another has": _odd_line("labels", seq=1),
    "an outcome that is none": _odd_line("labels", outcome="perhaps"),
    "an outcome that is an object": _odd_line("labels", outcome={"a": 1}),
    "a time that is none": _odd_line("labels", at="now"),
    "no time": _odd_line("labels", at="gone"),
    "no actor": _odd_line("labels", actor="gone"),
    "no id": _odd_line("labels", event_id="gone"),
    "a span of text": _odd_line("labels", span_first="a", span_last="b"),
    "an id that another event has": _odd_line("labels", event_id="label-0", outcome="success"),
    "a preference for nobody": _odd_line("preferences", event_id="odd", choice="both"),
    "a preference of a surrogate": _odd_line("preferences", event_id="odd", actor="\udc00"),
    **{f"bit {seed} of the labels flipped": _log_flip(seed, "labels.jsonl") for seed in range(3)},
    "the labels are cut": _log_cut("labels.jsonl", 0.4),
    "the labels are gone": lambda workspace: workspace.label_twin.unlink(),
    "the labels are noise": _log_write("labels.jsonl", bytes(range(256)) * 40),
    "the preferences are empty": _log_write("preferences.jsonl", b""),
    "the thresholds are noise": _log_write("thresholds.jsonl", b"\xff\xfe\n" * 9),
    "a metric of text": _run_line(metrics={"loss": "low"}),
    "a step of text": _run_line(step="next"),
    "an attempt beyond 64 bits": _run_line(attempt=2**80),
    "a state that is none": _run_line(kind="state", state=["running"]),
    "progress of nothing": _run_line(kind="progress", done=None, total="all"),
    "an event of a surrogate": _run_line(kind="alarm", message="\ud800"),
    "a line of the run's log is nested deeply": _log_deep,
    "views of text": _log_write("views.json", b"[]"),
}
assert len(OF_DATABASE) >= 50
assert len(OF_LOGS) >= 30
