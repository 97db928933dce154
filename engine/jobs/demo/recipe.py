"""The recipe of the shipped demo, as data: whose study, and what is measured of it afterwards."""

from dataclasses import dataclass
from typing import Any

from engine.runs.stages import Stage

ARMS = ("base", "base_sharpened", "wmpo")  # of a study, whose tests stand on the cards


@dataclass(frozen=True)
class Export:
    """A stage's last checkpoint under its shipped name, and what its card says of it.

    `figures` names the stages whose results the card holds; `headline` the few that a visitor sees:
    (label, result, unit), the unit `percent` or nothing.
    """

    stage: str
    name: str
    figures: tuple[str, ...]
    headline: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class TaskRecipe:
    """What ships of one task: stages of a committed study, and some of its own after it.

    Attributes:
        seed: of the study, the one whose policy ships.
        stages: run after those of the study; `{name}` is one of its stages or what is shipped.
        samples: episodes shipped: how many of which stage.
    """

    task: str
    study: str
    seed: int
    stages: tuple[Stage, ...]
    exports: tuple[Export, ...]
    samples: dict[str, int]


def _collect(task: str, name: str, **options: Any) -> Stage:
    return Stage(name=name, job="collect", options={"task": task, **options})


def _measured(task: str, moved: int, siblings: int) -> tuple[Stage, ...]:
    """Real episodes that nothing has learnt from, and the gates on them, of what is shipped."""
    base = f"{{{task}-base}}"
    held_out = {"source": "policy", "pool": "calibration", "use": "calibration"}
    play = {"source": "play", "pool": "play", "first_start": 50000, "siblings": True}
    return (
        _collect(task, "held_out", policy=base, first_start=1000, episodes=240, **held_out),
        _collect(
            task,
            "moved",
            policy=f"{{{task}-wmpo}}",
            first_start=3000,
            episodes=moved,
            **held_out,
        ),
        _collect(task, "siblings", episodes=siblings, episodes_per_start=4, **play),
        Stage(
            name="gates",
            job="gates",
            options={
                "task": task,
                "world_model": f"{{{task}-world}}",
                "reward_model": f"{{{task}-judge}}",
                "held_out": ["{held_out}"],
                "moved": ["{moved}"],
                "siblings": ["{siblings}"],
                "policy": base,
                "starts": 64,
                "episodes": 720,
                "denoising_steps": 1,
            },
        ),
    )


def _dreams(task: str, **options: Any) -> Stage:
    """A training in the dreams of what is shipped, with its videos."""
    models = {"policy": "base", "world_model": "world", "reward_model": "judge"}
    return Stage(
        name="dreams",
        job="optimise",
        options={
            "task": task,
            **{role: f"{{{task}-{name}}}" for role, name in models.items()},
            "num_starts": 256,
            "max_groups": 16,
            "denoising_steps": 1,
            **options,
        },
    )


def _exports(task: str, seed: int) -> tuple[Export, ...]:
    """Policy, world model and judge that WMPO needs, and the policy that it made."""
    tested, before = f"test_wmpo-{seed}", ("test_base", "test_base_sharpened")
    success, sharpened = "evaluate/success_rate", "base at half its temperature"
    return (
        Export(
            "base",
            f"{task}-base",
            ("base", *before),
            (
                ("success on 400 test starts", f"test_base/{success}", "percent"),
                ("at half its temperature", f"test_base_sharpened/{success}", "percent"),
            ),
        ),
        Export(
            f"wmpo-{seed}",
            f"{task}-wmpo",
            (tested, *before),
            (
                ("success on 400 test starts", f"{tested}/{success}", "percent"),
                ("base", f"test_base/{success}", "percent"),
                (sharpened, f"test_base_sharpened/{success}", "percent"),
            ),
        ),
        Export(
            "world",
            f"{task}-world",
            ("ae", "world", "gates"),
            (
                ("real failures dreamt as successes", "gates/false_successes", "percent"),
                ("real successes missed", "gates/missed", "percent"),
                ("after WMPO, failures dreamt as successes", "gates/moved", "percent"),
            ),
        ),
        Export(
            "judge",
            f"{task}-judge",
            ("states", "judge", "gates"),
            (
                ("dreams judged as reality", "gates/balanced_accuracy", "percent"),
                ("AUC of the dreamt nearest distance", "gates/auc", ""),
            ),
        ),
    )


RECIPES: tuple[TaskRecipe, ...] = (
    TaskRecipe(
        task="coffee-push",
        study="docs/coffee_push.json",
        seed=0,
        stages=(
            *_measured("coffee-push", moved=200, siblings=400),
            _dreams(  # to be watched: in fewer and larger steps than what ships
                "coffee-push",
                iterations=24,
                learning_rate=4e-5,
                checkpoint_every=8,
                record_groups=2,
                probe_starts=1,
                real_every=4,
                real_episodes=64,
            ),
            Stage(
                name="reward",
                job="train_reward",
                options={
                    "episodes_from": ["{rollouts}", "{demos}"],
                    "batch_size": 48,
                    "fit": {"steps": 500, "checkpoint_every": 250},
                    "held_out_from": ["{held_out}"],
                    "autoencoder": "{ae@last}",
                },
            ),
        ),
        exports=(
            *_exports("coffee-push", 0),
            Export(
                "reward",
                "coffee-push-reward",
                ("reward",),
                (
                    ("F1 on 240 held-out episodes", "reward/reward/held_out_f1", ""),
                    ("accuracy", "reward/reward/held_out_accuracy", "percent"),
                ),
            ),
        ),
        samples={"held_out": 8, "dreams": 16},
    ),
    TaskRecipe(
        task="plate-slide",
        study="docs/plate_slide.json",
        seed=0,
        stages=(
            *_measured("plate-slide", moved=720, siblings=200),
            _dreams("plate-slide", iterations=1, record_groups=1, probe_starts=0, seed=1),
        ),
        exports=_exports("plate-slide", 0),
        samples={"held_out": 8, "dreams": 8},
    ),
)
