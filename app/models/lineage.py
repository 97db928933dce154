"""Where a checkpoint comes from: which run, data, labels and threshold made it."""

from collections.abc import Callable, Mapping
from typing import Any

from app.models.catalogue import summary
from storage.checkpoints.catalogue import Checkpoint

DEPTH = 4  # how far back parents are followed
_SHIPPED = {"demo": "shipped with the studio", "local": "local folder"}


def details(
    checkpoint: Checkpoint, by_hash: Callable[[str], Checkpoint], *, parameters: int
) -> dict[str, Any]:
    """Everything the Models page shows of one checkpoint; plain JSON values.

    Args:
        by_hash: finds a parent in the catalogue; raises `LookupError` without it.
        parameters: numbers in its weights.
    """
    card = checkpoint.card
    made, data = _mapping(card.get("config")), _mapping(card.get("data"))
    return summary(checkpoint) | {
        "source": source(checkpoint),
        "revision": checkpoint.revision or str(card.get("code") or ""),
        "parameters": parameters,
        "threshold": checkpoint.config.get("success_threshold"),
        "seed": made.get("seed"),
        "data": [f"{count} {what}" for what, count in data.items()],
        "labels": card.get("labels"),
        "config": dict(checkpoint.config),
        "parents": parents(checkpoint, by_hash),
    }


def source(checkpoint: Checkpoint) -> dict[str, Any]:
    """{text, run}: where a checkpoint was found; the run that made it, if it is one of ours."""
    kind, _, rest = checkpoint.id.partition("/")
    if kind == "run":
        run, _, step = rest.partition("/")
        return {"text": f"run {run}, {step.replace('-', ' ', 1)}", "run": run}
    trained = checkpoint.card.get("step")
    text = checkpoint.source or _SHIPPED.get(kind, kind) + (
        f", step {trained}" if trained is not None else ""
    )
    return {"text": text, "run": None}


def parents(
    checkpoint: Checkpoint, by_hash: Callable[[str], Checkpoint], *, depth: int = DEPTH
) -> list[dict[str, Any]]:
    """The checkpoints it was made from, by the hashes in its card, and theirs in turn.

    {role, short, made_as, id, threshold, parents}; the id is None if the catalogue does not have
    it, `made_as` is where the training found it.
    """
    if depth == 0:
        return []
    lineage = _mapping(checkpoint.card.get("lineage"))
    made = _mapping(checkpoint.card.get("config"))
    return [
        _parent(str(role), str(digest), by_hash, depth) | {"made_as": str(made.get(role) or "")}
        for role, digest in lineage.items()
    ]


def _parent(
    role: str, digest: str, by_hash: Callable[[str], Checkpoint], depth: int
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "role": role,
        "short": digest[:8],
        "id": None,
        "threshold": None,
        "parents": [],
    }
    try:
        parent = by_hash(digest)
    except LookupError:
        return found
    return found | {
        "id": parent.id,
        "threshold": parent.config.get("success_threshold"),
        "parents": parents(parent, by_hash, depth=depth - 1),
    }


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
