"""Files of episodes from anybody, decoded in the gate's sandbox: only plain arrays come out.

A small file can unpack to gigabytes (a Parquet dictionary, a video, a picture, an archive), and its
decoders are large C libraries. The child reads the whole file with the limits of an `Allowance` and
writes each episode as an uncompressed .npz beside its record; here both are read with distrust.
"""

import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from engine.gate import sandbox
from engine.gate.formats.arrays import read_npz
from engine.gate.verdict import RefusedError
from engine.records.episodes import episode_record
from storage.exports.contents import (
    Contents,
    LabelledEpisode,
    Problem,
    gathered,
    item_from,
    labels_record,
    wrong_in,
)

INDEX, ARRAY = "index.json", "array "
BESIDE = 2**28  # libraries at work, and headers


def read_in_sandbox(reader: str, path: Path, *, largest: int) -> Contents:
    """What a reader finds in a file.

    Args:
        reader: a module with `read_here(path, largest=…) -> Contents`.

    Raises:
        ValueError: what the reader says of the whole file, or how the child ended.
    """
    allowance = sandbox.Allowance(
        memory_bytes=3 * largest + BESIDE,
        cpu_seconds=sandbox.decoding_seconds(path.stat().st_size),
        file_bytes=largest + BESIDE,
    )
    with tempfile.TemporaryDirectory() as directory:
        room = Path(directory)
        arguments = [reader, str(path.resolve()), str(largest), str(room)]
        try:
            answer = sandbox.run(__name__, arguments, room=room, allowance=allowance)
        except RefusedError as refusal:
            raise ValueError(f"this file {refusal.sentence}") from refusal
        if "sentence" in answer:
            raise ValueError(str(answer["sentence"]))
        return _collected(room, largest)


def main(arguments: list[str]) -> dict[str, Any]:
    """In the child: read the file, and leave what was found in the room."""
    reader, path, largest, room = arguments
    # Imported by name: the readers import this module.
    read_here = __import__(reader, fromlist=["read_here"]).read_here
    try:
        contents: Contents = read_here(Path(path), largest=int(largest))
    except ValueError as error:
        return {"sentence": str(error)[:2_000]}
    kept = [_keep(Path(room), number, item) for number, item in enumerate(contents.episodes)]
    problems = [[one.file, one.reason, one.row] for one in contents.problems]
    (Path(room) / INDEX).write_text(json.dumps({"problems": problems, "episodes": kept}))
    return {}


def _keep(room: Path, number: int, item: LabelledEpisode) -> dict[str, Any]:
    episode = item.episode
    arrays = {f"{ARRAY}{name}": values for name, values in episode.arrays.items()}
    arrays |= {"frames": episode.frames, "actions": episode.actions}
    np.savez(room / f"{number}.npz", allow_pickle=False, **arrays)
    return {"episode": episode_record(episode), "labels": labels_record(item)}


def _collected(room: Path, largest: int) -> Contents:
    index = room / INDEX
    if not index.is_file() or index.stat().st_size > largest:
        raise ValueError("this file made the process that read it answer nonsense")
    said = json.loads(index.read_text())
    if said["problems"]:
        return Contents((), tuple(Problem(*one) for one in said["problems"]))
    return gathered(
        (f"episode {number}", partial(_item, room / f"{number}.npz", kept, largest))
        for number, kept in enumerate(said["episodes"])
    )


def _item(path: Path, kept: dict[str, Any], largest: int) -> LabelledEpisode:
    with wrong_in(str(kept["episode"]["id"])):
        found = read_npz(path, largest=largest + BESIDE)
        arrays = {name.removeprefix(ARRAY): a for name, a in found.items() if ARRAY in name}
        return item_from(
            kept["episode"],
            kept["labels"],
            frames=found["frames"],
            actions=found["actions"],
            arrays=arrays,
        )
