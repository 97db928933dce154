"""Episodes as files to take away, and exported episodes taken back in."""

import base64
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from app.checks import check_choice, check_integer, check_names
from engine.tasks import get_task
from engine.types import Trajectory
from storage.cabinet import Cabinet
from storage.exports.bundle import pack, unpack

# format -> (end of the file's name, media type)
FORMATS = {
    "mp4": (".mp4", "video/mp4"),
    "gif": (".gif", "image/gif"),
    "png": (".png", "image/png"),
    "zip": (".wmpo.zip", "application/zip"),
}
LARGEST_SCALE, SHOWN_SIDE = 16, 256  # videos are enlarged to about this many pixels by default


class Exports:
    """Makes files of stored episodes."""

    def __init__(self, cabinet: Cabinet, *, public: bool) -> None:
        self._cabinet = cabinet
        self._public = public

    def export(self, query: object) -> dict[str, Any]:
        """{episode, format, scale?} -> {name, media_type, data: a data URI}.

        mp4, gif and png are pictures, enlarged by a whole number; zip is exact and comes back by
        `import_episode`.
        """
        values = check_names(
            query, allowed=("episode", "format", "scale"), required=("episode", "format")
        )
        kind = check_choice("format", values["format"], FORMATS)
        episode = self._cabinet.trajectories.get(str(values["episode"]))
        side = max(episode.frames.shape[1:3])
        usual = 1 if kind == "png" else min(LARGEST_SCALE, max(1, SHOWN_SIDE // side))
        scale = check_integer("scale", values.get("scale", usual), 1, LARGEST_SCALE)
        ending, media_type = FORMATS[kind]
        data = pack(episode) if kind == "zip" else _drawn(kind)(episode.frames, scale=scale)
        return {
            "name": episode.id + ending,
            "media_type": media_type,
            "data": f"data:{media_type};base64,{base64.b64encode(data).decode()}",
        }

    def import_episode(self, data: bytes) -> str:
        """Store an exported episode (the bytes of a .wmpo.zip); its id.

        Raises:
            ValueError: not such a file, another episode of that id is here, or a public studio.
        """
        if self._public:
            raise ValueError("a public studio takes no episodes")
        episode = unpack(data)
        get_task(episode.task)
        if self._cabinet.trajectories.find_all([episode.id]):
            if not _same(self._cabinet.trajectories.get(episode.id), episode):
                raise ValueError(f"there is already another episode {episode.id}")
            return episode.id
        return self._cabinet.trajectories.add(episode)


def _drawn(kind: str) -> Callable[..., bytes]:
    """The function that draws frames; its libraries are imported at the first use."""
    pictures = import_module("storage.exports.pictures")
    functions: dict[str, Callable[..., bytes]] = {
        "mp4": pictures.mp4,
        "gif": pictures.gif,
        "png": pictures.sheet,
    }
    return functions[kind]


def _same(one: Trajectory, other: Trajectory) -> bool:
    return np.array_equal(one.frames, other.frames) and np.array_equal(one.actions, other.actions)
