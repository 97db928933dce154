"""Fidelity's use cases: how far the dream is from reality, each number with its videos."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from app.access import Access
from app.evaluate.suites import path_name
from app.fidelity.pairs import Pair, PairRecord, pair_film, pair_of
from app.fidelity.shipped import Shipped
from app.live.pairs import CELLS, dreams_of, real_ids
from app.live.simulator import Simulator
from app.models.catalogue import unaligned
from app.models.gates import Gates, gate_rows
from app.player.clips import Clips, OneEpisode
from app.player.media import KeptOnDisk
from app.runs.launcher import Launcher, OneRun
from engine.config import Config, knob
from engine.jobs.fidelity.fidelity_plan import NAMES, JobConfig, check_planned
from engine.records.label_set import NOW
from engine.records.tasks import POOLS, get_task, tasks
from engine.statistics.intervals import wilson_interval
from storage.cabinet import Cabinet
from storage.checkpoints.catalogue import Checkpoint
from storage.runs.runs import RunRow

POOLS_OFFERED = ("calibration", "free")
ROLES = ("policy", "world_model", "baseline_world_model", "reward_model")
MOST_EPISODES = 1_000
MOST_FILMS = 24  # in one answer
# Seconds an episode on one core of a small CPU, until this machine has compared some itself.
PLAY_SECONDS, COMPARE_SECONDS, BASELINE_SECONDS, START_SECONDS = 0.85, 3.0, 0.9, 15.0


@dataclass(frozen=True, kw_only=True)
class Comparison(Config):
    """A run of fidelity: whose dreams are compared with reality, and on what."""

    policy: str = knob("", "checkpoint id, of who plays where there are no recordings", high=300)
    recordings: str = knob("", "run that took recordings in, in place of episodes played", high=200)
    world_model: str = knob(help="checkpoint id", high=300)
    reward_model: str = knob(help="checkpoint id", high=300)
    task: str = knob(help="of the simulator", high=64)
    pool: str = knob(help="of starts", choices=POOLS_OFFERED)
    first_start: int = knob(help="of the pool", low=0, high=10**6)
    episodes: int = knob(help="real ones, on as many starts", low=2, high=MOST_EPISODES)
    temperature: float = knob(help="of the policy", low=0.0, high=10.0)
    denoising_steps: int = knob(help="of the world model", low=1, high=100)
    baseline_world_model: str | None = knob(None, "checkpoint id, compared as well", high=300)


@dataclass(frozen=True, kw_only=True)
class Pairs(Config):
    """Pairs of a run: real episodes beside their dreams."""

    run: str = knob(help="its id")
    model: str = knob("imagined", "whose dreams", choices=tuple(NAMES))
    depth: int = knob(0, "frame that a pair reaches; 0: all", low=0, high=10_000)
    cell: str | None = knob(None, "of the matrix of success", choices=tuple(CELLS.values()))
    outcome: str = knob("all", "in reality", choices=("all", "success", "failure"))


@dataclass(frozen=True, kw_only=True)
class PairFilms(Config):
    """Films of some pairs of a run, dream and reality side by side."""

    run: str = knob(help="its id")
    pairs: tuple[str, ...] = knob(help="ids of their dreams")


class Fidelity:
    """What the Fidelity page asks. Every method may be called from any thread.

    What a user can get wrong raises a `ValueError` (an unknown run: `LookupError`) of one sentence.

    Args:
        clips: those of the studio's own episodes.
        shipped: what was measured of the shipped checkpoints.
        gates: where the gates of a world model are found.
    """

    def __init__(
        self,
        cabinet: Cabinet,
        launcher: Launcher,
        simulator: Simulator,
        *,
        clips: Clips,
        shipped: Shipped,
        gates: Gates,
        access: Access,
    ) -> None:
        self._cabinet = cabinet
        self._launcher = launcher
        self._simulator = simulator
        self._clips = clips
        self._shipped, self._gates = shipped, gates
        self._access = access
        self._films = KeptOnDisk(self._encode_film, cabinet.workspace.thumbnails)

    def choices(self) -> dict[str, Any]:
        """{policy, world_model, reward_model, recordings: [[label, id]…], unaligned, tasks, pools,
        refusal}.

        `unaligned`: ids of the world models that have never seen a policy's rollouts, newest first.
        """
        known = {
            role: self._cabinet.checkpoints.all(role)
            for role in ("policy", "world_model", "reward_model")
        }
        recordings = self._recordings()
        return {
            **{
                role: [[self._launcher.checkpoint_name(c.id), c.id] for c in found]
                for role, found in known.items()
            },
            "unaligned": unaligned(known["world_model"]),
            "recordings": recordings,
            "tasks": [task.name for task in tasks().values() if task.simulator],
            "pools": {name: min(len(POOLS[name]), 2**31) for name in POOLS_OFFERED},
            "refusal": self._access.refusal("fidelity.start")
            or ("" if recordings else self._simulator.missing),
        }

    def plan(self, question: Comparison) -> dict[str, Any]:
        """{seconds, measured}: how long a comparison would take.

        Raises:
            ValueError: a wrong value, a model that has learnt from these starts, or no simulator
                here to play in.
        """
        config = self._config(question)
        known = [
            (run.updated - run.started) / run.config["episodes"]
            for run in self._cabinet.runs.all()
            if run.job == "fidelity"
            and run.result is not None
            and run.attempt == 1
            and run.started is not None
            and run.updated is not None
            and bool(run.config.get("baseline_world_model")) == bool(config["baseline_world_model"])
            and bool(run.config.get("episodes_from")) == bool(question.recordings)
        ]
        guess = COMPARE_SECONDS + (0.0 if question.recordings else PLAY_SECONDS)
        guess += BASELINE_SECONDS if config["baseline_world_model"] else 0.0
        pace = median(known) if known else guess
        return {"seconds": START_SECONDS + pace * config["episodes"], "measured": bool(known)}

    def start(self, question: Comparison) -> dict[str, str]:
        """Queue a run as `plan` describes it; {run: its id}.

        Raises:
            ValueError: as `plan`.
        """
        return {"run": self._launcher.start("fidelity", self._config(question))}

    def runs(self) -> dict[str, list[dict[str, Any]]]:
        """{runs}: newest first, and what was shipped: {id, title, started, state, done, total}."""
        found = [
            {
                "id": run.id,
                "title": self._title(run),
                "started": run.created,
                "state": run.state,
                "busy": run.state.busy,
                "phase": self._cabinet.runs.phase(run.id) if run.state.busy else "",
                "error": run.error,
                "done": run.done or 0,
                "total": run.total or 0,
                "seconds_left": run.seconds_left,
            }
            for run in self._cabinet.runs.all()
            if run.job == "fidelity"
        ]
        for sample in self._shipped.all():
            told = {"id": sample.id, "title": sample.title, "started": None, "state": "sample"}
            found.append(told | {"busy": False, "done": 0, "total": 0})
        return {"runs": found}

    def results(self, question: OneRun) -> dict[str, Any]:
        """{models, metrics, curves or null, lies, gates, notes, videos} of a finished run.

        `lies`, by model: real failures, those dreamt as successes, and the 95 % interval. `gates`:
        as `app.models.gates.gate_rows`, null where nobody measured them.

        Raises:
            ValueError: it has no result yet.
        """
        name = question.run
        if sample := self._shipped.find(name):
            found = sample.results()
            told = {"lies": _lies(found["curves"]), "gates": self._gates_of(found["models"])}
            return {"run": name, "videos": bool(sample.pairs()), **told, **found}
        run = self._run(name)
        if run.result is None:
            raise ValueError(f"{run.id} is {run.state}: its numbers come when it is done")
        metrics = {
            key: value for key, value in run.result.items() if isinstance(value, (int, float))
        }
        curves = run.result.get("curves")
        return {
            "run": run.id,
            "videos": bool(self._pairs(run.id, "imagined")),
            "models": self._models(run),
            "settings": {
                name: run.config[name]
                for name in ("task", "pool", "first_start", "temperature", "denoising_steps")
                if name in run.config and (run.config.get("policy") or name == "denoising_steps")
            },
            "metrics": metrics,
            "curves": curves,
            "lies": _lies(curves),
            "gates": self._gates_of(self._models(run)),
            "notes": run.result.get("notes", []),
        }

    def pairs(self, question: Pairs) -> dict[str, list[PairRecord]]:
        """{pairs}: real episodes beside their dreams.

        A depth keeps the pairs that reach that frame, the worst by PSNR there first; a cell is of
        the success matrix by that depth.
        """
        depth, cell, outcome = question.depth, question.cell, question.outcome
        found = self._pairs(question.run, question.model)
        if outcome != "all":
            found = [pair for pair in found if pair.real_success == (outcome == "success")]
        if cell:
            found = [pair for pair in found if pair.cell(depth) == cell]
        elif depth:
            found = [pair for pair in found if pair.length >= depth]
        found.sort(key=lambda pair: (pair.quality(depth), pair.imagined))
        return {
            "pairs": [pair.record(depth, 0 if cell else min(depth, pair.length)) for pair in found]
        }

    def films(self, question: PairFilms) -> dict[str, dict[str, str]]:
        """{films}: dream and reality side by side, by the id of the dream; at most `MOST_FILMS`."""
        known = {pair.imagined: pair for pair in self._pairs(question.run, None)}
        chosen = [known[name] for name in question.pairs[:MOST_FILMS] if name in known]
        if sample := self._shipped.find(question.run):
            made = {pair.imagined: sample.film(pair) for pair in chosen}
            uri = "data:image/webp;base64,"
            films = {name: uri + base64.b64encode(film).decode() for name, film in made.items()}
        else:
            films = {pair.imagined: self._film(pair) for pair in chosen if pair.real}
        return {"films": films}

    def clip(self, question: OneEpisode) -> Any:
        """A clip of a pair, shipped or of a run: what `app.player.clips.Clips.clip` gives."""
        if sample := self._shipped.find(question.episode.partition("/")[0]):
            return sample.clip(question.episode)
        return self._clips.clip(question)

    def _config(self, question: Comparison) -> dict[str, Any]:
        get_task(question.task)
        values = question.to_dict()
        if recordings := values.pop("recordings"):
            told = self._cabinet.runs.get(recordings)
            if told.job != "import_recordings":
                raise ValueError(f"{told.id} is a run of {told.job}: it took no recordings in")
            values |= {"policy": "", "episodes_from": [told.id], "label_set": NOW}
        elif self._simulator.missing:
            raise ValueError(self._simulator.missing)
        found = {role: self._checkpoint(role, values.pop(role)) for role in ROLES if values[role]}
        for checkpoint in found.values():
            if checkpoint.task in tasks() and checkpoint.task != question.task:
                made = f"{checkpoint.id} was made for {checkpoint.task}, not for {question.task}"
                raise ValueError(f"{made}: choose the task under More options")
        values.pop("baseline_world_model", None)
        models = {role: str(checkpoint.directory) for role, checkpoint in found.items()}
        whole = JobConfig.from_dict(values | models)
        check_planned(whole)
        return whole.to_dict()

    def _recordings(self) -> list[list[str]]:
        """[words, run] of each import that is done."""
        return [
            [f"{run.config['dataset_name'] or path_name(run.config['dataset'])} · {count}", run.id]
            for run in self._cabinet.runs.all()
            if run.job == "import_recordings"
            and (count := (run.result or {}).get("import/episodes"))
        ]

    def _checkpoint(self, role: str, name: str) -> Checkpoint:
        checkpoint = self._cabinet.checkpoints.get(name)
        wanted = "world_model" if role == "baseline_world_model" else role
        if checkpoint.role != wanted:
            raise ValueError(f"{checkpoint.id} is no {wanted.replace('_', ' ')}")
        return checkpoint

    def _run(self, name: str) -> RunRow:
        run = self._cabinet.runs.get(name)
        if run.job != "fidelity":
            raise ValueError(f"{run.id} is a run of {run.job}, not of fidelity")
        return run

    def _models(self, run: RunRow) -> dict[str, str]:
        known = {str(c.directory): c.id for c in self._cabinet.checkpoints.all()}
        return {
            role: known.get(str(path), path_name(str(path)))
            for role in ROLES
            if (path := run.config.get(role))
        }

    def _gates_of(self, models: Mapping[str, str]) -> list[dict[str, Any]] | None:
        """The gates of a world model and a reward model, by their ids."""
        known = {checkpoint.id: checkpoint.hash for checkpoint in self._cabinet.checkpoints.all()}
        world_model, judge = (known.get(models.get(r, "")) for r in ("world_model", "reward_model"))
        if world_model is None or judge is None:
            return None
        found = self._gates.of(world_model, judge)
        return None if found is None else gate_rows(found)

    def _title(self, run: RunRow) -> str:
        """Which world model, on how much."""
        name = self._models(run).get("world_model", "a world model").split("/", 1)[-1]
        return f"{name} · {run.config.get('episodes', '?')} episodes"

    def _pairs(self, run: str, model: str | None) -> list[Pair]:
        """The pairs of a run, of all its world models if none is named."""
        if sample := self._shipped.find(run):
            return sample.pairs() if model in (None, "imagined") else []
        sources = {source for name, (_, source) in NAMES.items() if model in (None, name)}
        rows = dreams_of(self._cabinet.trajectories, self._run(run).id, sources)
        real = real_ids(self._cabinet.trajectories, rows)
        return [pair_of(row, real[row.id]) for row in rows]

    def _film(self, pair: Pair) -> str:
        return self._films.get(f"{pair.imagined}.pair")

    def _encode_film(self, name: str) -> bytes:
        dream = self._cabinet.trajectories.find(name.removesuffix(".pair"))
        real = real_ids(self._cabinet.trajectories, [dream])[dream.id]
        one, other = (self._cabinet.trajectories.get(id).frames for id in (dream.id, real or ""))
        return pair_film(one, other, pair_of(dream, real))


def _lies(curves: Any) -> dict[str, dict[str, Any]]:
    """{model: {failures, count, interval}}: real failures dreamt as successes, by the end."""
    last = {model: rows[-1] for model, rows in ((curves or {}).get("matrix") or {}).items()}
    found = {}
    for model, cells in last.items():
        count, failures = cells["false_success"], cells["false_success"] + cells["true_failure"]
        interval = wilson_interval(count, failures)
        found[model] = {"count": count, "failures": failures, "interval": list(interval)}
    return found
