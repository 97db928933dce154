"""The recipe of the shipped demo, as data: which jobs, in which order, with which options."""

from dataclasses import dataclass

from engine.runs.stages import Stage


@dataclass(frozen=True)
class Export:
    """A stage's last checkpoint under its shipped name, and what its card says of it.

    `figures` names the stages whose results the card holds; `headline` the few that a visitor sees:
    (label, result, unit), the unit `percent`, `decibel` or nothing.
    """

    stage: str
    name: str
    figures: tuple[str, ...]
    headline: tuple[tuple[str, str, str], ...]


STAGES: tuple[Stage, ...] = (
    Stage(
        name="demos",
        job="collect",
        options={"source": "expert", "episodes": 300, "noise": 0.3, "only_successes": True},
    ),
    Stage(name="play", job="collect", options={"source": "play", "pool": "play", "episodes": 700}),
    Stage(
        name="ae",
        job="train_autoencoder",
        options={
            "episodes_from": ["{demos}", "{play}"],
            "limit": 400,
            "fit": {"steps": 2500, "learning_rate": 1e-3},
        },
    ),
    Stage(
        name="base",
        job="clone",
        options={
            "episodes_from": ["{demos}"],
            "smoothing": 3.0,
            "fit": {"steps": 1000, "decay_steps": 3000, "weight_decay": 0.0},
        },
    ),
    Stage(
        name="wm",
        job="train_world_model",
        options={
            "episodes_from": ["{demos}", "{play}"],
            "normalization_from": ["{demos}"],
            "autoencoder": "{ae@last}",
            "held_out": 20,
            "batch_size": 16,
            "fit": {"steps": 2600, "learning_rate": 1e-3, "average_decay": 0.995},
        },
    ),
    Stage(
        name="rollouts",
        job="collect",
        options={"source": "policy", "policy": "{base@last}", "pool": "budget", "episodes": 512},
    ),
    Stage(
        name="held_out",
        job="collect",
        options={
            "source": "policy",
            "policy": "{base@last}",
            "pool": "calibration",
            "episodes": 240,
            "temperature": 0.0,
            "use": "calibration",
        },
    ),
    Stage(
        name="aligned",
        job="train_world_model",
        options={
            "world_model": "{wm@last}",
            "episodes_from": ["{rollouts}"],
            "replay_from": ["{demos}"],
            "normalization_from": ["{demos}"],
            "replay_share": 0.35,
            "batch_size": 16,
            "timestep_ratio": 3.0,
            "fit": {"steps": 4000, "learning_rate": 1e-3, "average_decay": 0.998},
        },
    ),
    Stage(
        name="reward",
        job="train_reward",
        options={
            "episodes_from": ["{rollouts}", "{demos}"],
            "batch_size": 48,
            "held_out_from": ["{held_out}"],
            "autoencoder": "{ae@last}",
        },
    ),
    Stage(
        name="fidelity",
        job="fidelity",
        options={
            "world_model": "{aligned@last}",
            "reward_model": "{reward@last}",
            "episodes_from": ["{held_out}"],
            "episodes": 240,
        },
    ),
    Stage(
        name="optimised",
        job="optimise",
        options={
            "policy": "{base@last}",
            "world_model": "{aligned@last}",
            "reward_model": "{reward@last}",
            "iterations": 25,
            "max_groups": 8,
            "learning_rate": 2e-4,
            "real_every": 5,
            "record_groups": 3,
        },
    ),
    Stage(
        name="calibration_base",
        job="evaluate",
        options={"policy": "{base@last}", "pool": "calibration", "episodes": 100},
    ),
    Stage(name="test_base", job="evaluate", options={"policy": "{base@last}", "episodes": 400}),
    Stage(
        name="test_optimised",
        job="evaluate",
        options={"policy": "{optimised@last}", "episodes": 400},
    ),
)

EXPORTS: tuple[Export, ...] = (
    Export(
        "base",
        "coffee-push-base",
        ("base", "calibration_base", "test_base"),
        (("success on 400 test starts", "test_base/evaluate/success_rate", "percent"),),
    ),
    Export(
        "optimised",
        "coffee-push-wmpo",
        ("optimised", "test_base", "test_optimised"),
        (
            ("success on 400 test starts", "test_optimised/evaluate/success_rate", "percent"),
            ("before", "test_base/evaluate/success_rate", "percent"),
        ),
    ),
    Export(
        "aligned",
        "coffee-push-world",
        ("ae", "aligned", "fidelity"),
        (
            ("imagined against real", "fidelity/fidelity/mean_imagined_psnr", "decibel"),
            ("repeating the start", "fidelity/fidelity/mean_repeat_psnr", "decibel"),
            ("verdicts agree with reality", "fidelity/fidelity/balanced_accuracy", "percent"),
        ),
    ),
    Export(
        "reward",
        "coffee-push-reward",
        ("reward",),
        (
            ("F1 on 240 held-out episodes", "reward/reward/held_out_f1", ""),
            ("accuracy", "reward/reward/held_out_accuracy", "percent"),
        ),
    ),
)

# Episodes shipped as samples: how many of which stage.
SAMPLES: dict[str, int] = {"held_out": 8, "optimised": 16}
