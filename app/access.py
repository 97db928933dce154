"""Who may do what: one table of actions and roles, and the limits of each role.

The door asks it for every question of a page and of the API (`app.web.calls`). An action is named
`PANEL.FUNCTION`, as the script calls it; what the table does not name, everybody may do.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from app.rates import Buckets, Rate, TooMuchError, a_day, in_words
from app.visitors import Person, Role, person
from engine.learning.economy import Economy
from engine.runs.tracker import NONE

MEGABYTE = 2**20


@dataclass(frozen=True)
class Rule:
    """The roles that may do something, and what the others are told."""

    sentence: str
    roles: frozenset[Role] = frozenset({Role.ADMIN})


@dataclass(frozen=True)
class Limits:
    """How much one person may ask for.

    Attributes:
        run_jobs: jobs that may be started; None: all.
        run_options: the most that an option of a run may be.
        run_choices: the only value that an option of a run may have.
        waiting_runs: unfinished runs beside which another may be started; None: any number.
        seconds_between_loads: how long models stay before others are loaded.
        export_hours: how long a file that was exported is kept.
        dreams: that are there at once; those beyond are the oldest, and go; None: any number.
        waiting_events: calls of the API that may wait in the queue; None: any number.
        calls_at_once: questions that are answered at the same time; others wait their turn.
        rates: how much of what in so much time, by what it is.
    """

    denoising_steps: int = 50
    rows: int = 512
    dataset_episodes: int = 1_000
    run_jobs: tuple[str, ...] | None = None
    run_options: Mapping[str, int] = field(default_factory=dict)
    run_choices: Mapping[str, Any] = field(default_factory=dict)
    waiting_runs: int | None = None
    seconds_between_loads: float = 0.0
    export_hours: float = 24.0
    dreams: int | None = None
    waiting_events: int | None = None
    calls_at_once: int | None = None
    rates: Mapping[str, Rate] = field(default_factory=dict)


# One address may be a school: it has several times what one visitor has.
OF_ADDRESS = 3.0
# What the functions of the queue take of these, by the names that Gradio calls them. It is counted
# before they wait there, where too much is still a 429.
COSTS = {
    "label": "labels",
    "imagine": "saved episodes",
    "start_run": "runs",
    "on_launch": "runs",  # the form of Train
    "on_upload": "pictures",
}
# What reaches the studio, before anything else looks at it.
_REQUESTS = {
    "pages": Rate(2.0, 40.0),  # each costs as much as ten of what stands on it
    "films and scripts": Rate(60.0, 600.0),
    "questions": Rate(15.0, 60.0),
    "calls of the API": Rate(1.0, 8.0),
    "uploads": Rate(0.1, 6.0),
    "megabytes of uploads": Rate(10.0 / 60.0, 60.0),
    "megabytes of uploads today": a_day(200.0, at_once=200.0),
}
# What it leaves behind, or keeps busy.
_THINGS = {
    "labels": Rate(2.0, 120.0),
    "saved episodes": a_day(300.0, at_once=60.0),
    "pictures": a_day(60.0, at_once=10.0),
    "exports": a_day(100.0, at_once=10.0),
    "episodes played in the simulator": a_day(200.0, at_once=10.0),
    "runs": a_day(12.0, at_once=2.0),
}
# One kind of run, small, few at a time (reliability.md §4.3).
_VISITOR = Limits(
    denoising_steps=8,
    rows=64,
    dataset_episodes=8,
    run_jobs=("optimise",),
    run_options={
        "iterations": 5,
        "groups": 4,
        "group_size": 8,
        "max_groups": 8,
        "denoising_steps": 8,
        "record_groups": 4,
        "num_starts": 128,
        "real_every": 0,
        "real_episodes": 32,
        "horizon": 64,
        "probe_starts": 4,
        "mini_batches": 16,
        "slice_rows": 64,
        "workers": 1,
        "learners": 1,
    },
    run_choices={
        "logger": NONE,
        "environment": "imagination",
        "ray": "",
        "economy": Economy().to_dict(),
    },
    waiting_runs=2,
    seconds_between_loads=10.0,
    export_hours=1.0,
    dreams=4,
    waiting_events=4,
    calls_at_once=4,
    rates=_REQUESTS | _THINGS,
)
LIMITS = {
    Role.VISITOR: _VISITOR,
    # Whoever has a name to lose may do the same, and more of it.
    Role.ANNOTATOR: replace(
        _VISITOR,
        dataset_episodes=64,
        rates=_REQUESTS | {name: rate.times(5.0) for name, rate in _THINGS.items()},
    ),
    Role.ADMIN: Limits(),
}


def _rules(sentence: str, *actions: str) -> dict[str, Rule]:
    return dict.fromkeys(actions, Rule(sentence))


RULES: Mapping[str, Rule] = {
    **_rules(
        "a public studio fetches and publishes nothing: choose from the catalogue",
        *("models.adopt_checkpoint", "models.plan_download", "models.start_download"),
        *("models.cancel_download", "models.control_adoption", "models.added"),
        *("train.publication", "train.publish"),
    ),
    **_rules("a public studio keeps its models loaded: visitors share them", "models.unload"),
    **_rules(
        "a public studio keeps no views: the address of the page holds yours", "episodes.save_view"
    ),
    **_rules("on a public studio the queue is everybody's: it cannot be filled", "episodes.queue"),
    **_rules("a public studio takes no files", "episodes.import_episodes", "data.take_part"),
    **_rules(
        "a public studio takes no episodes",
        *("data.examine", "data.look", "data.intend", "data.take", "data.taken"),
    ),
    **_rules("on a public studio queues are everybody's: none can be made", "label.make_queue"),
    **_rules(
        "on a public studio queues are everybody's: none can be removed", "label.remove_queue"
    ),
    **_rules("on a public studio the failure modes are everybody's", "label.save_modes"),
    **_rules(
        "a public studio keeps the thresholds that it was opened with",
        *("thresholds.save", "imagine.save_threshold"),
    ),
    **_rules(
        "a public studio does not retrain or judge anew: run your own",
        *("retrain.freeze", "retrain.start", "retrain.rejudge", "retrain.restart"),
    ),
    **_rules(
        "a public studio does not play in the simulator: run your own to evaluate policies",
        *("evaluate.start", "fidelity.start"),
    ),
    **_rules(
        "real trials are written down in the studio at home, not on a public one",
        *("trials.make", "trials.enter", "trials.read", "trials.attach", "trials.take_part"),
    ),
    **_rules("on a public studio nobody may take back what others said", "data.undo"),
    **_rules(
        "a public studio keeps its data to itself: this is for the studio at home",
        *("data.clean_up", "data.back_up", "data.check_backup", "data.take_backup"),
        *("data.restore", "data.remove_backup", "data.verify", "data.sync"),
        "data.restore_parts",
    ),
}


@dataclass(frozen=True)
class Access:
    """What who asks may do here.

    Attributes:
        least: the role of whoever comes without a name; at home everybody is an admin.
        full: refuses more of something while there is no room for it, by what it is.
    """

    least: Role = Role.ADMIN
    buckets: Buckets = field(default_factory=Buckets, compare=False, repr=False)
    full: dict[str, Callable[[], None]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def role(self) -> Role:
        """The role of who asks."""
        known = person()
        return known.role if known and self.guest else self.least

    @property
    def guest(self) -> bool:
        """Whether labels go to, and are read from, the pool of a Space's visitors."""
        return self.least is not Role.ADMIN

    @property
    def limits(self) -> Limits:
        """How much who asks may ask for."""
        return LIMITS[self.role]

    def refusal(self, action: str) -> str:
        """The sentence that refuses an action; empty where it is allowed."""
        rule = RULES.get(action)
        return rule.sentence if rule and self.role not in rule.roles else ""

    def check(self, action: str) -> None:
        """Refuse what the role may not do.

        Raises:
            ValueError: the sentence of the table.
        """
        if sentence := self.refusal(action):
            raise ValueError(sentence)

    def limited(self, what: str) -> bool:
        """Whether who asks may have only so much of something."""
        return what in self.limits.rates

    def spend(self, what: str, amount: float = 1.0) -> None:
        """Count something against what who asks, and where they ask from, may have of it.

        Raises:
            TooMuchError: they had all that they may have for now.
        """
        known = person() or Person()
        if what in self.full:
            self.full[what]()
        if what in known.paid:
            known.paid.remove(what)
            amount -= 1.0
        for name, rate in self._shares(what, known):
            wait = self.buckets.take(what, name, rate, amount)
            if wait:
                raise TooMuchError(
                    f"That is too many {what} for one visitor of a public studio: again in "
                    f"{in_words(wait)}.",
                    wait,
                )

    def prepay(self, function: str) -> None:
        """Count what a function of the queue will take of whoever is about to join it.

        Raises:
            TooMuchError: as `spend`.
        """
        known, what = person(), COSTS.get(function)
        if known is not None and what is not None:
            self.spend(what)
            known.paid.add(what)

    def refund(self) -> None:
        """Give back what was counted for a function that took nothing."""
        known = person() or Person()
        while known.paid:
            what = known.paid.pop()
            for name, rate in self._shares(what, known):
                self.buckets.take(what, name, rate, -1.0)

    def _shares(self, what: str, known: Person) -> list[tuple[str, Rate]]:
        """(whose, how much): a new name costs nothing, so an address has a share, too."""
        rate = self.limits.rates.get(what)
        if rate is None:
            return []
        own, crowd = (known.name, rate), (f"{known.role} {known.place}", rate.times(OF_ADDRESS))
        return [own, crowd] if known.place else [own]
