"""What an evaluation would run, how long it would take, and whether it may: then its start."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from app.access import Access
from app.evaluate.suites import arm_of
from app.live.simulator import Simulator
from app.runs.launcher import Launcher
from app.web.checks import check_integer
from engine.config import Config, knob
from engine.records.tasks import POOLS, get_task, pool_starts, tasks
from engine.statistics.leaks import check_apart, learnt_from
from storage.cabinet import Cabinet
from storage.checkpoints.catalogue import Checkpoint

POOLS_OFFERED = ("test", "calibration", "free")
MOST_RUNS, MOST_EPISODES = 60, 1_000
# Seconds on one core of a small CPU, used until this machine has played some itself: measured with
# the shipped policy on coffee-push.
PLAIN_SECONDS, FILMED_SECONDS, START_SECONDS = 0.25, 0.85, 12.0


@dataclass(frozen=True)
class PlannedRun:
    """One cell of an evaluation: its arm, and the config of its run; `run` where it exists."""

    arm: str
    config: Mapping[str, Any]
    run: str | None


@dataclass(frozen=True, kw_only=True)
class Arm(Config):
    """A policy, and what it is called in the tables."""

    id: str = knob(help="checkpoint id", high=300)
    arm: str | None = knob(None, "its name; without one its id", high=60)


@dataclass(frozen=True, kw_only=True)
class Evaluate(Config):
    """Policies on common starts in the simulator."""

    policies: tuple[Arm, ...] = knob(help="compared")
    tasks: tuple[str, ...] = knob(help="of the simulator")
    pools: tuple[str, ...] = knob(help="of starts", choices=POOLS_OFFERED)
    first_start: int = knob(help="of each pool", low=0, high=10**6)
    episodes: int = knob(help="of each policy on each pool", low=1, high=MOST_EPISODES)
    temperature: float = knob(help="of the policies", low=0.0, high=10.0)
    seeds: int = knob(help="so often each policy plays", low=1, high=20)
    record_episodes: int = knob(0, "so many are filmed", low=0, high=MOST_EPISODES)


class Planning:
    """Checks and starts evaluations."""

    def __init__(
        self, cabinet: Cabinet, launcher: Launcher, simulator: Simulator, *, access: Access
    ) -> None:
        self._cabinet = cabinet
        self._launcher = launcher
        self._simulator = simulator
        self._access = access

    def choices(self) -> dict[str, Any]:
        """{policies: [{id, name, short, task}], tasks, pools: {name: starts}, refusal}."""
        return {
            "policies": [
                {
                    "id": c.id,
                    "name": self._launcher.checkpoint_name(c.id),
                    "short": c.hash[:8],
                    "task": c.task,
                }
                for c in self._cabinet.checkpoints.all("policy")
            ],
            "tasks": [task.name for task in tasks().values() if task.simulator],
            "pools": {name: min(len(POOLS[name]), MOST_EPISODES) for name in POOLS_OFFERED},
            "refusal": self._access.refusal("evaluate.start") or self._simulator.missing,
        }

    def plan(self, question: Evaluate) -> dict[str, Any]:
        """What `start` would do: {new, known, episodes, seconds, measured, notes}.

        Raises:
            ValueError: nothing chosen, pools that overlap with what a policy learnt from, or too
                much at once.
        """
        planned, notes = self._planned(question)
        new = [cell for cell in planned if cell.run is None]
        seconds, measured = self._seconds([cell.config for cell in new])
        return {
            "new": len(new),
            "known": len(planned) - len(new),
            "episodes": sum(cell.config["episodes"] for cell in new),
            "seconds": seconds,
            "measured": measured,
            "notes": notes,
        }

    def start(self, question: Evaluate) -> dict[str, list[str]]:
        """Queue every run that is not there yet; {runs: their ids}.

        Raises:
            ValueError: as `plan`, or there is no simulator here.
        """
        if self._simulator.missing:
            raise ValueError(self._simulator.missing)
        planned, _ = self._planned(question)
        new = [cell for cell in planned if cell.run is None]
        if not new:
            raise ValueError("all of this has been run already: its results are in the table")
        return {"runs": [self._launcher.start("evaluate", dict(cell.config)) for cell in new]}

    def _planned(self, question: Evaluate) -> tuple[list[PlannedRun], list[str]]:
        for name in ("policies", "tasks", "pools"):
            if not getattr(question, name):
                raise ValueError(f"choose at least one of the {name}")
        arms, pools = [self._arm(entry) for entry in question.policies], question.pools
        tasks = [get_task(name) for name in question.tasks]
        first, episodes, seeds = question.first_start, question.episodes, question.seeds
        temperature = question.temperature
        filmed = check_integer("record_episodes", question.record_episodes, 0, episodes)
        notes = []
        if temperature == 0 and seeds > 1:
            seeds = 1
            notes.append("Greedy play is the same for every seed: each policy plays once.")
        for pool in pools:
            starts = pool_starts(pool, first, episodes)
            for _, checkpoint in arms:
                check_apart(checkpoint.id, learnt_from(checkpoint.directory), starts)
        for task in tasks:
            for _, checkpoint in arms:
                _check_fits(checkpoint, task.name, task.action_dim)
        known = self._known()
        planned = []
        for task in tasks:
            for pool in pools:
                for seed in range(seeds):
                    for arm, checkpoint in arms:
                        config = {
                            "task": task.name,
                            "policy": str(checkpoint.directory),
                            "pool": pool,
                            "first_start": first,
                            "episodes": episodes,
                            "temperature": temperature,
                            "seed": seed,
                            "record_episodes": filmed,
                            "arm": arm,
                        }
                        planned.append(PlannedRun(arm, config, known.get(_identity(config))))
        if len(planned) > MOST_RUNS:
            raise ValueError(
                f"this would be {len(planned)} runs: choose at most {MOST_RUNS} at once"
            )
        return planned, notes

    def _arm(self, chosen: Arm) -> tuple[str, Checkpoint]:
        checkpoint = self._cabinet.checkpoints.get(chosen.id)
        if checkpoint.role != "policy":
            raise ValueError(f"{checkpoint.id} is no policy")
        return (chosen.arm or "").strip() or checkpoint.id, checkpoint

    def _known(self) -> dict[tuple[Any, ...], str]:
        """Runs that are done or under way, by what fixes their outcomes."""
        return {
            _identity({"arm": arm_of(run.config, {}), "record_episodes": 0, **run.config}): run.id
            for run in self._cabinet.runs.all()
            if run.job == "evaluate" and (run.result is not None or not run.ended)
        }

    def _seconds(self, configs: Sequence[Mapping[str, Any]]) -> tuple[float, bool]:
        """(estimated seconds, whether they rest on runs of this machine)."""
        paces: dict[bool, list[float]] = {False: [], True: []}
        for run in self._cabinet.runs.all():
            whole = run.job == "evaluate" and run.result is not None and run.attempt == 1
            if whole and run.started is not None and run.updated is not None:
                all_filmed = run.config.get("record_episodes", 0) >= run.config["episodes"]
                pace = (run.updated - run.started) / run.config["episodes"]
                paces[all_filmed].append(pace)
        plain, filmed = (
            median(found) if found else guess
            for found, guess in ((paces[False], PLAIN_SECONDS), (paces[True], FILMED_SECONDS))
        )
        total = sum(
            START_SECONDS
            + filmed * config["record_episodes"]
            + plain * (config["episodes"] - config["record_episodes"])
            for config in configs
        )
        return total, bool(paces[False] or paces[True])


def _identity(config: Mapping[str, Any]) -> tuple[Any, ...]:
    where = ("task", "policy", "pool", "first_start", "episodes")
    how = ("temperature", "seed", "arm", "record_episodes")
    return tuple(config[name] for name in (*where, *how))


def _check_fits(checkpoint: Checkpoint, task: str, action_dim: int) -> None:
    own = checkpoint.config.get("action_dim")
    if own is not None and own != action_dim:
        raise ValueError(f"{checkpoint.id} acts in {own} dimensions, but {task} takes {action_dim}")
