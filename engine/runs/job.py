"""What a job says of itself: all that the screen shows of it, and asks for before it starts."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.records.tasks import Task

Values = Mapping[str, Any]

# Names of files on the server and of pools: the studio chooses them.
CHOSEN_BY_STUDIO = ("task", "starts", "pool", "first_start", "environment", "use")
# Of every fit, what the command line alone changes: a page has few inputs.
OF_FITS = ("final_rate", "decay_steps", "warmup_steps", "weight_decay", "gradient_clip")
ROLLOUTS = "the policy's own rollouts: collect them first, with the method “Collect rollouts”"


@dataclass(frozen=True, kw_only=True)
class Trace:
    """One line: the metric it shows, its name in the legend, the role of its colour."""

    metric: str
    name: str
    colour: str = "accent"
    marks: bool = False  # measured now and then: points joined by a thin line


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One chart: a name fit for an element id, a title, its traces, a fixed range if it has one.

    `help` is a sentence for those who do not know the measure.
    """

    name: str
    title: str
    traces: tuple[Trace, ...]
    help: str = ""
    low: float | None = None
    high: float | None = None
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way to use a job, by the name a person chooses it by.

    Attributes:
        values: what differs from the job's defaults, and is the point of the method.
        hidden: knobs that get no input: the method decides them, or does not use them.
        sizes: values by the name of a size, the first for a look, the last for a result.
        needs: what has to be there before, in words; empty for nothing.
        requires: knobs without which it is another method; the job refuses a run that lacks one.
        kind: method, step (what is done before) or ablation.
        unaligned: dreams in a world model that has never seen a policy's rollouts.
        job: filled in by the registry.
    """

    name: str
    about: str
    values: Values = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    sizes: Mapping[str, Values] = field(default_factory=dict)
    needs: str = ""
    requires: tuple[str, ...] = ()
    kind: str = "method"
    unaligned: bool = False
    job: str = ""


@dataclass(frozen=True)
class Finding:
    """One line of what is known of a run before it starts; `ok` is None where nothing is."""

    name: str
    ok: bool | None
    text: str


@dataclass(frozen=True)
class Lessons:
    """The stored episodes that a run would learn from; mixed starts have both outcomes."""

    episodes: int
    successes: int
    mixed_starts: int

    def __str__(self) -> str:
        return f"{self.episodes} episodes, {self.successes} of them successes"


@dataclass(frozen=True)
class Pace:
    """How fast runs like this one were.

    Attributes:
        last: the last value of a metric of the last such run, if there is one.
        seconds_a_frame: of imagining and learning, planned from what the models compute.
    """

    last: Callable[[str], float | None]
    seconds_a_frame: Callable[[], float | None]


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job's own words about itself. Functions of a config take the job's `JobConfig`.

    Attributes:
        methods: how the Train page offers it; with none it is for the command line and the API.
        place: jobs with a lower number stand first.
        shown: knobs that are visible at once; the others are folded away.
        hidden: knobs that no method leaves to a person; no size may decide them either.
        charts: of its metrics; every other metric gets a chart of its own.
        needs: roles of the checkpoints that it cannot do without.
        learns: whether it learns from the episodes of `episodes_from`.
        check: what speaks for or against options that are valid.
        check_lessons: the same of the episodes; says nothing where there is nothing to add.
        seconds: how long a run takes, if that can be told; a fit is timed by its steps anyway.
        keeps_checkpoints: whether it stores weights as large as its policy's.
        has_models: whether it places models on a device; one that does not loads no torch.
        recorded: how many imagined episodes a run stores.
    """

    methods: tuple[Method, ...] = ()
    place: int = 100
    shown: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()
    needs: Callable[[Any], tuple[str, ...]] = lambda config: ()
    learns: bool = False
    check: Callable[[Any], Iterable[Finding]] = lambda config: ()
    check_lessons: Callable[[Any, Lessons], Finding | None] = lambda config, lessons: None
    seconds: Callable[[Any, Task, Pace], float | None] = lambda config, task, pace: None
    keeps_checkpoints: bool = True
    has_models: bool = True
    recorded: Callable[[Any], int] = lambda config: 0
