"""Datasets as LeRobot v3.0 lays them out and folders of films, small and made of known frames."""

import io
import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

FRONT, WRIST = "observation.images.front", "observation.images.wrist"


def picture(episode: int, step: int, size: tuple[int, int] = (32, 48)) -> np.ndarray:
    """A frame whose colours say which it is, even after a lossy round trip."""
    frame = np.zeros((*size, 3), np.uint8)
    frame[..., 0], frame[..., 1] = (40 * episode + 20) % 256, 4 * step + 20
    frame[: size[0] // 2, :, 2] = 200
    return frame


def is_picture(frame: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether a frame is the wanted one after a video: colours bleed where they meet, no more."""
    off = np.abs(frame.astype(int) - wanted)
    middle = len(wanted) // 2
    return bool(np.delete(off, slice(middle - 2, middle + 2), axis=-3).max() <= 6)


def actions(episode: int, length: int, dims: int = 3) -> np.ndarray:
    found = np.random.default_rng(episode).uniform(-1, 1, (length, dims)).astype(np.float32)
    found[:, -1] = np.where(np.arange(length) % 2, 1.0, -1.0)
    return found


def write_film(path: Path, frames: list[np.ndarray], *, fps: int = 10, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = options.get("pix_fmt", "yuv420p")
        stream.options = {"crf": "1", "g": options.get("g", "250"), "threads": "1"}
        for frame in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def lerobot_v3(
    root: Path,
    lengths: tuple[int, ...] = (5, 7, 6),
    *,
    cameras: tuple[str, ...] = (FRONT,),
    images: bool = False,
    fps: int = 10,
    files: int = 1,
    flags: dict[str, list[float]] | None = None,
) -> Path:
    """Episodes one behind the other in `files` tables and videos; `flags` are further columns."""
    camera = {"dtype": "image" if images else "video", "shape": [32, 48, 3], "names": None}
    features = {name: dict(camera) for name in cameras} | {
        "action": {"dtype": "float32", "shape": [3], "names": ["dx", "dy", "grip"]},
        "observation.state": {"dtype": "float32", "shape": [2], "names": None},
    }
    info = {
        "codebase_version": "v3.0",
        "fps": fps,
        "total_episodes": len(lengths),
        "features": features,
    }
    (root / "meta").mkdir(parents=True)
    (root / "meta/info.json").write_text(json.dumps(info))
    parts = np.array_split(np.arange(len(lengths)), files)
    rows, first = [], 0
    for file, part in enumerate(parts):
        table: dict[str, list[Any]] = {
            "action": [],
            "episode_index": [],
        }
        for name in flags or {}:
            table[name] = []
        frames, second = [], 0.0
        for episode in part.tolist():
            length = lengths[episode]
            table["action"] += actions(episode, length).tolist()
            table["episode_index"] += [episode] * length
            for name, values in (flags or {}).items():
                table[name] += values[first : first + length]
            frames += [picture(episode, step) for step in range(length)]
            row = {
                "episode_index": episode,
                "tasks": [f"do {'this' if episode % 2 else 'that'}"],
                "length": length,
                "data/chunk_index": 0,
                "data/file_index": file,
                "dataset_from_index": first,
                "dataset_to_index": first + length,
            }
            for name in () if images else cameras:
                row[f"videos/{name}/chunk_index"], row[f"videos/{name}/file_index"] = 0, file
                row[f"videos/{name}/from_timestamp"] = second
            rows.append(row)
            first, second = first + length, second + length / fps
        if images:
            table[cameras[0]] = [{"bytes": png(frame), "path": None} for frame in frames]
        (root / "data/chunk-000").mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(table), root / f"data/chunk-000/file-{file:03d}.parquet")
        for name in () if images else cameras:
            write_film(root / f"videos/{name}/chunk-000/file-{file:03d}.mp4", frames, fps=fps)
    (root / "meta/episodes/chunk-000").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), root / "meta/episodes/chunk-000/file-000.parquet")
    return root


def png(frame: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "PNG")
    return buffer.getvalue()


def films(root: Path, lengths: tuple[int, ...] = (5, 6)) -> Path:
    """Videos with a CSV and a Parquet table in turn; the first succeeds at its third step."""
    for episode, length in enumerate(lengths):
        write_film(root / f"pour_{episode}.mp4", [picture(episode, at) for at in range(length)])
        values = actions(episode, length)
        if episode % 2:
            names = ("action.dx", "action.dy", "action.grip")
            columns = dict(zip(names, values.T.tolist(), strict=True))
            table = columns | {"success": [False] * length}
            pq.write_table(pa.table(table), root / f"pour_{episode}.parquet")
            continue
        lines = ["timestamp,action.dx,action.dy,action.grip,success,instruction"]
        lines += [
            f"{at / 10},{','.join(map(str, row))},{'TRUE' if at >= 2 else 'FALSE'},pour it"
            for at, row in enumerate(values)
        ]
        (root / f"pour_{episode}.csv").write_text("\n".join(lines) + "\n")
    return root
