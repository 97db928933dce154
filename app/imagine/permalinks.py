"""Links that hold a whole dream: its replay record, small enough for an address."""

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from app.web.checks import check_flag, check_integer, check_names, check_number, check_text
from engine.dream.draw import Draw, Overrides
from engine.dream.replay import FIELDS, Origin
from engine.records.episodes import check_episode_id
from engine.records.types import DreamContext, Trajectory

ROLES = ("policy", "world_model", "reward_model")
LONGEST_TOKEN, LONGEST_RECORD = 32_768, 262_144  # characters, bytes
NEEDED = (*ROLES, "task", "start_id", "member", "start_sha256", *FIELDS, "horizon", "draws")
KNOWN = ("origin", "threshold")  # of some dreams
VARIANT = "context"  # of dreams whose context is not the usual one
SIZES = "micro_batches"  # not in links of before 2026-11-30: sizes were the checkpoints' own
MOST_FRAMES = 4096  # at once
VARIED = (*FIELDS, "policy_noise", "world_noise", "overrides")
DAMAGED = "this link is damaged: copy it again"


def frames_hash(trajectory: Trajectory) -> str:
    """What tells whether a dream came out the same: a hash of every pixel."""
    return hashlib.sha256(np.ascontiguousarray(trajectory.frames).tobytes()).hexdigest()


def token(trajectory: Trajectory) -> str:
    """An imagined episode as a link's token.

    Raises:
        ValueError: the episode is real, or lacks what it takes to imagine it again.
    """
    if not trajectory.imagined:
        raise ValueError(f"{trajectory.id} is a real episode: there is nothing to imagine again")
    lacking = [name for name in NEEDED if name not in trajectory.replay]
    if lacking:
        raise ValueError(
            f"{trajectory.id} was stored without its {', '.join(lacking)}, so it cannot be "
            "imagined again"
        )
    names = (*NEEDED, *KNOWN)
    record = {name: trajectory.replay.get(name) for name in names}
    record |= {
        name: trajectory.replay[name] for name in (VARIANT, SIZES) if name in trajectory.replay
    }
    record["frames"] = frames_hash(trajectory)
    text = json.dumps(record, separators=(",", ":"), sort_keys=True)
    return base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode().rstrip("=")


def read_token(text: object) -> dict[str, Any]:
    """The record of a token; its values are still to be checked.

    Raises:
        ValueError: it is no token, or a damaged one.
    """
    if not isinstance(text, str) or len(text) > LONGEST_TOKEN:
        raise ValueError(DAMAGED)
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        unpacked = zlib.decompressobj().decompress(packed, LONGEST_RECORD)
        record = json.loads(unpacked)
    except (binascii.Error, zlib.error, ValueError, RecursionError) as error:
        raise ValueError(DAMAGED) from error
    allowed = (*NEEDED, *KNOWN, VARIANT, SIZES, "frames")
    return dict(check_names(record, allowed=allowed, required=NEEDED))


def read_origin(value: object) -> Origin | None:
    """The origin in a record.

    Raises:
        ValueError: it is none.
    """
    if value is None:
        return None
    names = ("episode", "frame")
    values = check_names(value, allowed=names, required=names)
    frame = check_integer("frame", values["frame"], 0, 2**31)
    return Origin(check_episode_id(str(values["episode"])), frame)


def read_context(value: object) -> DreamContext:
    """The context in a record, which says nothing of the usual one.

    Raises:
        ValueError: it is none.
    """
    values = check_names(value or {}, allowed=("anchored", "noise"))
    return DreamContext(
        anchored=check_flag("anchored", values.get("anchored", False)),
        noise=check_number("noise", values.get("noise", 0.0), 0.0, 1000.0),
    )


def read_micro_batch(value: object) -> int:
    """Frames that a record's world model took at once; 0 where it says nothing of them.

    Raises:
        ValueError: it is no number of frames.
    """
    sizes = check_names(value or {}, allowed=("autoencoder", "reward_model"))
    return check_integer("micro_batch", sizes.get("autoencoder") or 0, 0, MOST_FRAMES)


def read_draws(base: Draw, draws: object, *, chunk_size: int, action_dim: int) -> list[Draw]:
    """What each chunk was drawn with.

    Raises:
        ValueError: a draw that no dream has.
    """
    if not isinstance(draws, Sequence) or isinstance(draws, str):
        raise ValueError(DAMAGED)
    return [base.changed(_changes(draw, chunk_size, action_dim)) for draw in draws]


def _changes(draw: object, chunk_size: int, action_dim: int) -> Mapping[str, Any]:
    given = check_names(draw, allowed=VARIED)
    checks = {
        "instruction": lambda value: check_text("instruction", value, 200),
        "seed": lambda value: check_integer("seed", value, 0, 2**53),
        "temperature": lambda value: check_number("temperature", value, 0.0, 5.0),
        "denoising_steps": lambda value: check_integer("denoising_steps", value, 1, 50),
        "policy_noise": lambda value: check_integer("policy_noise", value, 0, 2**31),
        "world_noise": lambda value: check_integer("world_noise", value, 0, 2**31),
        "overrides": lambda value: _overrides(value, chunk_size, action_dim),
    }
    return {name: checks[name](value) for name, value in given.items()}


def _overrides(value: Any, chunk_size: int, action_dim: int) -> Overrides:
    if value == []:
        return ()
    rows = value if isinstance(value, list) else []
    if [len(row) if isinstance(row, list) else 0 for row in rows] != [action_dim] * chunk_size:
        raise ValueError(f"overrides must be {chunk_size} steps of {action_dim} numbers")
    return tuple(
        tuple(None if v is None else check_number("an override", v, -1.0, 1.0) for v in row)
        for row in rows
    )
