"""What an optimise run is asked: light, so that the screen can draw and check it."""

from collections.abc import Iterator
from dataclasses import dataclass

from engine.config import Config, knob
from engine.crew.crew import ray_knob, workers_knob
from engine.crew.learners import learners_knob
from engine.jobs.optimise.methods import CHARTS, METHODS
from engine.learning.economy import Economy
from engine.records.tasks import Task
from engine.runs.job import CHOSEN_BY_STUDIO, Finding, Job, Pace
from engine.runs.tracker import logger_knob


@dataclass(frozen=True, kw_only=True)
class JobConfig(Config):
    """GRPO in imagination. `paper()` has the published numbers, the defaults suit two cores."""

    task: str = knob("coffee-push", "Task record")
    method: str = knob(
        "",
        "Method by its name on Train; a run refuses to be another for want of what it needs",
        choices=("", *(method.name for method in METHODS)),
    )
    environment: str = knob(
        "imagination",
        "Where groups are played: imagined (WMPO) or in the simulator (the baseline)",
        choices=("imagination", "simulator"),
    )
    real_budget: int = knob(128, "Real episodes the simulator may play, no more and no less", low=1)
    policy: str = knob("", "Policy checkpoint to improve")
    world_model: str = knob("", "World model checkpoint")
    reward_model: str = knob("", "Reward model checkpoint")
    success_threshold: float = knob(0.0, "Of a window; 0: the reward model's own", low=0, high=1)
    gates: str = knob("", "Run of gates whose verdict on the world model is told at the start")
    starts: str = knob("", "File of start frames; without one they are rendered")
    key_frames_from: tuple[str, ...] = knob(
        (), "Variant: runs whose episodes' frames, not first frames, dreams begin from"
    )
    pool: str = knob("rl", "Pool the starts are taken from")
    first_start: int = knob(0, "Offset of the first start in the pool", low=0)
    num_starts: int = knob(128, "Different starts used", low=1)
    balance_starts: bool = knob(
        True, "Each iteration takes its groups from all over the starts, by where things are"
    )
    iterations: int = knob(20, "Imagine and update, this many times", low=1)
    groups: int = knob(8, "Informative groups per iteration", low=1)
    group_size: int = knob(8, "Rollouts imagined from the same first frame", low=2)
    max_groups: int = knob(16, "Groups imagined at most until enough are informative", low=1)
    keep_low: float = knob(0.1, "Groups below this success rate are dropped", low=0.0, high=1.0)
    keep_high: float = knob(0.9, "Groups above this success rate are dropped", low=0.0, high=1.0)
    horizon: int = knob(
        0,
        "Most actions of an imagined rollout; 0: the task's; short with key frames: branches",
        low=0,
    )
    anchored: bool = knob(
        False,
        "Variant: dreams keep the start as their oldest context frame, against drift; a world "
        "model trained without that has not seen such contexts",
    )
    context_noise: float = knob(
        0.0,
        "Variant: diffusion time (of 1000) that dreams noise their context to; 0 leaves it clean, "
        "as the released; the noise a world model was trained with is its context_timestep",
        low=0.0,
        high=1000.0,
    )
    shuffle_rewards: bool = knob(
        False, "Control: rewards are dealt out at random among the rollouts of a batch"
    )
    # paper: 30 denoising steps and temperature 1.6
    denoising_steps: int = knob(4, "Sampler evaluations per chunk", low=1)
    temperature: float = knob(1.0, "Of sampling and of log-probabilities", low=0.01)
    # paper: 5e-6 for 7.5 B parameters
    learning_rate: float = knob(5e-5, "Of AdamW, constant after the warm-up", low=0.0)
    # paper: neither warm-up nor limit; Adam's first steps are as large as its learning rate
    warmup_updates: int = knob(8, "Updates until the learning rate is reached", low=0)
    kl_limit: float = knob(
        0.01, "An iteration stops updating at this KL a token; 0: never", low=0.0
    )
    weight_decay: float = knob(0.01, "Decoupled weight decay", low=0.0)
    clip_low: float = knob(0.2, "The ratio is kept above 1 - clip_low", low=0.0, high=1.0)
    clip_high: float = knob(0.28, "The ratio is kept below 1 + clip_high", low=0.0)
    gradient_clip: float = knob(1.0, "Largest gradient norm", low=0.0)
    mini_batches: int = knob(4, "Optimizer updates per iteration", low=1)
    slice_rows: int = knob(32, "Chunks that go through the policy at once", low=1)
    checkpoint_every: int = knob(1, "Iterations between two checkpoints", low=1)
    record_groups: int = knob(4, "Groups whose videos are stored per iteration", low=0)
    probe_starts: int = knob(
        1, "Starts imagined greedily at every checkpoint: the same start over the training", low=0
    )
    real_every: int = knob(
        0, "Iterations between two checks in the simulator, from the base on; 0: never", low=0
    )
    real_episodes: int = knob(32, "Episodes of a diagnostic (calibration pool)", low=1)
    real_greedy: bool = knob(
        False, "Check greedily; else at the temperature of the groups, as a fair comparison needs"
    )
    record_played: bool = knob(
        True, "Store the episodes that the simulator plays; else they are only counted, and faster"
    )
    seed: int = knob(0, "Root of randomness", low=0)
    workers: int = workers_knob()
    ray: str = ray_knob()
    learners: int = learners_knob()
    economy: Economy = knob(help="What training may hold in memory", factory=Economy)
    logger: str = logger_knob()
    restart_from: str = knob(
        "", "Checkpoint of another optimise run to go on from: policy, optimizer, iteration"
    )

    @classmethod
    def paper(cls) -> "JobConfig":
        """WMPO's published numbers (method.md §4.1)."""
        return cls(
            iterations=100,
            groups=64,
            max_groups=640,
            denoising_steps=30,
            temperature=1.6,
            learning_rate=5e-6,
            warmup_updates=0,
            kl_limit=0.0,
            balance_starts=False,
        )


def needs_simulator(config: JobConfig) -> bool:
    """Whether something is played or rendered, so that `optimise` has to be given a simulator."""
    rendered = not config.starts and not config.key_frames_from
    return config.environment == "simulator" or config.real_every > 0 or rendered


def needs(config: JobConfig) -> tuple[str, ...]:
    """A policy, and what it dreams in."""
    if config.environment == "simulator":
        return ("policy",)
    return ("policy", "world_model", "reward_model")


def check(config: JobConfig) -> Iterator[Finding]:
    """Whether any group could be kept between the two thresholds."""
    low, high, size = config.keep_low, config.keep_high, config.group_size
    kept = [wins for wins in range(size + 1) if low <= wins / size <= high]
    if not kept:
        text = (
            f"no group of {size} can be kept between {low:g} and {high:g}: nothing would be learnt"
        )
        yield Finding("groups", False, text)
    else:
        yield Finding("groups", True, f"kept with {kept[0]} to {kept[-1]} successes of {size}")


def seconds(config: JobConfig, task: Task, pace: Pace) -> float | None:
    """From the frames of the last run like this one, else as planned."""
    verb = "play" if config.environment == "simulator" else "imagine"
    frames, spent = pace.last("rollout/frames"), pace.last(f"time/{verb}_seconds")
    each = spent / frames if frames and spent else pace.seconds_a_frame()
    if each is None:
        return None
    rows = config.groups * config.group_size
    update = pace.last("time/update_seconds") or 0.0
    return (each * (config.horizon or task.horizon) * rows + update) * config.iterations


def recorded(config: JobConfig) -> int:
    """Groups whose videos are kept, and the probes."""
    return config.iterations * (config.record_groups * config.group_size + config.probe_starts)


JOB = Job(
    methods=METHODS,
    place=1,
    shown=(
        *("policy", "world_model", "reward_model", "key_frames_from", "real_budget"),
        *("iterations", "groups", "group_size"),
    ),
    # Seldom changed: left to the command line.
    hidden=(
        *(*CHOSEN_BY_STUDIO, "method", "shuffle_rewards", "record_played", "real_greedy"),
        *("slice_rows", "ray", "anchored", "context_noise", "gates", "probe_starts"),
        *("checkpoint_every", "mini_batches", "kl_limit", "clip_low", "clip_high"),
        *("learners", "economy"),
        *("balance_starts", "warmup_updates", "weight_decay", "gradient_clip"),
    ),
    charts=CHARTS,
    needs=needs,
    check=check,
    seconds=seconds,
    recorded=recorded,
)
