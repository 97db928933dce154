"""Checkpoints as the screen wants them, and whether three of them fit together."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.records.tasks import Task, tasks
from engine.records.types import Normalization
from storage.checkpoints.catalogue import Checkpoint


@dataclass(frozen=True)
class Together:
    """What three checkpoints that fit have in common."""

    image_size: int
    action_dim: int
    chunk_size: int


def summary(checkpoint: Checkpoint) -> dict[str, Any]:
    """A checkpoint as lists show it; plain JSON values."""
    card = checkpoint.card
    return {
        "id": checkpoint.id,
        "role": checkpoint.role,
        "name": checkpoint.name,
        "hash": checkpoint.hash,
        "short": checkpoint.hash[:8],
        "task": checkpoint.task,
        "summary": card.get("summary") or _figures(card),
        "card": dict(card),
        "source": checkpoint.source,
        "revision": checkpoint.revision,
    }


def with_names(
    records: Sequence[dict[str, Any]], name: Callable[[str], str]
) -> list[dict[str, Any]]:
    """Records with what each is called: its name, or its id where two of a role have that name."""
    names = [(record["role"], name(record["id"])) for record in records]
    return [
        {**record, "called": own[1] if names.count(own) == 1 else record["id"]}
        for record, own in zip(records, names, strict=True)
    ]


def together(policy: Checkpoint, world_model: Checkpoint, reward_model: Checkpoint) -> Together:
    """What the three have in common, from their configs alone.

    Raises:
        ValueError: the first thing that does not fit, in one sentence.
    """
    for role, checkpoint in (
        ("policy", policy),
        ("world_model", world_model),
        ("reward_model", reward_model),
    ):
        if checkpoint.role != role:
            raise ValueError(
                f"{checkpoint.id} is a {_words(checkpoint.role)}, not a {_words(role)}"
            )
    _check_one_task(policy, world_model, reward_model)
    dynamics = _inner(world_model.config, "transformer")
    _check_same(
        "the policy's actions have {} numbers, but the world model takes {}",
        _number(policy, policy.config, "action_dim"),
        _number(world_model, dynamics, "action_dim"),
    )
    _check_same(
        "the policy acts in chunks of {}, but the world model advances by {}",
        _number(policy, policy.config, "chunk_size"),
        _number(world_model, dynamics, "chunk_size"),
    )
    size = _number(world_model, world_model.config, "image_size")
    if policy.config.get("image_pipeline", "plain") == "plain":
        trunk = _inner(policy.config, "dino")
        _check_same(
            "the policy sees {} pixels, but the world model draws {}",
            _number(policy, trunk, "image_size"),
            size,
        )
    if _same_actions(policy, world_model) is False:
        raise ValueError(
            "one action is not the same movement for the policy and the world model: their action "
            "statistics differ"
        )
    return Together(
        image_size=size,
        action_dim=_number(policy, policy.config, "action_dim"),
        chunk_size=_number(policy, policy.config, "chunk_size"),
    )


def task_of(chosen: Iterable[Checkpoint], default: Task) -> Task:
    """The task that checkpoints were made for: of the first whose card names one we know."""
    named = (tasks().get(checkpoint.task) for checkpoint in chosen)
    return next((task for task in named if task is not None), default)


def of_one_task(
    chosen: Mapping[str, Checkpoint], changed: str, known: Sequence[Checkpoint]
) -> dict[str, Checkpoint]:
    """Checkpoints by role after one of them was chosen: those of another task give way.

    Each makes room for the first of the catalogue that has its role and the changed one's task.
    """
    task = chosen[changed].task
    found = dict(chosen)
    for role, checkpoint in chosen.items():
        if task and checkpoint.task not in ("", task):
            fit = (each for each in known if each.role == role and each.task == task)
            found[role] = next(fit, checkpoint)
    return found


def describe_together(policy: Checkpoint, world_model: Checkpoint, reward_model: Checkpoint) -> str:
    """One line about three checkpoints that fit.

    Raises:
        ValueError: as `together`.
    """
    common = together(policy, world_model, reward_model)
    return (
        f"compatible · {common.image_size} px · {common.action_dim}-D actions · "
        f"chunks of {common.chunk_size}"
    )


def compatibility(
    policy: Checkpoint, world_model: Checkpoint, reward_model: Checkpoint, task: Task
) -> list[dict[str, Any]]:
    """Everything three checkpoints must agree on: {name, ok, text}; ok is None if unsaid."""
    dynamics = _inner(world_model.config, "transformer")
    plain = policy.config.get("image_pipeline", "plain") == "plain"
    seen = _inner(policy.config, "dino").get("image_size") if plain else None
    return [
        _agreement("image", seen, world_model.config.get("image_size"), "{} px"),
        _agreement("actions", policy.config.get("action_dim"), dynamics.get("action_dim"), "{}-D"),
        _agreement(
            "chunk", policy.config.get("chunk_size"), dynamics.get("chunk_size"), "{} actions"
        ),
        _statistics(policy, world_model),
        _agreement("window", task.judge.window, _window(reward_model.config), "{} frames"),
    ]


def _window(config: Mapping[str, Any]) -> object:
    """Frames that a reward model reads at once, of whichever family it is."""
    return config.get("num_frames", config.get("window"))


def is_aligned(world_model: Checkpoint) -> bool | None:
    """Whether a world model has learnt from a policy's own rollouts, by its card; None: unsaid.

    What its parent learnt from is not in its card, so only one trained afresh can be said not to.
    """
    data, lineage = _inner(world_model.card, "data"), _inner(world_model.card, "lineage")
    if any(str(source).split(" ")[1:2] == ["policy"] for source in data):
        return True
    return False if data and "world_model" not in lineage else None


def unaligned(world_models: Sequence[Checkpoint]) -> list[str]:
    """Ids of those that have never seen a policy's rollouts, by their cards, the last first."""
    return [each.id for each in reversed(world_models) if is_aligned(each) is False]


def _agreement(name: str, ours: object, theirs: object, words: str) -> dict[str, Any]:
    if ours is None or theirs is None:
        known = theirs if ours is None else ours
        return {
            "name": name,
            "ok": None,
            "text": "not said" if known is None else words.format(known),
        }
    text = words.format(ours)
    return {
        "name": name,
        "ok": ours == theirs,
        "text": text if ours == theirs else f"{text} against {words.format(theirs)}",
    }


def _statistics(policy: Checkpoint, world_model: Checkpoint) -> dict[str, Any]:
    same = _same_actions(policy, world_model)
    text = "not said" if same is None else "the same" if same else "one action is two movements"
    return {"name": "statistics", "ok": same, "text": text}


def _same_actions(policy: Checkpoint, world_model: Checkpoint) -> bool | None:
    """Whether both were trained with the same action statistics; None: one does not say."""
    ours, theirs = (Normalization.of(each.directory) for each in (policy, world_model))
    return None if ours is None or theirs is None else ours.agrees_with(theirs)


def _check_one_task(*chosen: Checkpoint) -> None:
    """Refuse models of different tasks; those whose card names none suit every task."""
    named = [(each, task) for each in chosen if (task := each.task) in tasks()]
    for each, task in named[1:]:
        first, wanted = named[0]
        if task != wanted:
            raise ValueError(
                f"the {_words(first.role)} was made for {wanted}, but the {_words(each.role)} "
                f"for {task}"
            )


def _check_same(sentence: str, ours: int, theirs: int) -> None:
    if ours != theirs:
        raise ValueError(sentence.format(ours, theirs))


def _number(checkpoint: Checkpoint, config: Mapping[str, Any], name: str) -> int:
    value = config.get(name)
    if not isinstance(value, int):
        raise ValueError(f"{checkpoint.id} does not say its {name}")
    return value


def _inner(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = values.get(name)
    return inner if isinstance(inner, Mapping) else {}


def _figures(card: Mapping[str, Any]) -> str:
    numbers = [
        f"{name} {value:.3g}"
        for name, value in _inner(card, "metrics").items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    ]
    return ", ".join(numbers[:3])


def _words(role: str) -> str:
    return role.replace("_", " ")
