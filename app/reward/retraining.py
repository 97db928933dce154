"""From labels to a better reward model, and from it to new judgements of what was imagined."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from app.episodes.groups import bounds
from app.player.clips import Clips
from app.runs.launcher import Launcher, OneRun
from engine.config import Config, knob
from engine.runs.names import DISAGREEMENTS, GROUPS
from engine.runs.run_directory import read_documents
from storage.cabinet import Cabinet
from storage.judging.label_sets import LabelFilter, LabelSet
from storage.runs.runs import RunRow

MOST_ROWS = 48
# A fine-tuning: few steps, small ones, so that what the parent knew is not unlearnt.
FINE_TUNING = {"steps": 300, "learning_rate": 3e-4, "weight_decay": 0.05, "checkpoint_every": 100}


@dataclass(frozen=True, kw_only=True)
class Labels(Config):
    """Which labels."""

    actor: str | None = knob(None, "who said them")
    mode: str | None = knob(None, "how they were said")
    imagined: bool | None = knob(None, "of imagined or of real episodes")
    task: str | None = knob(None, "of a task")
    run: str | None = knob(None, "of a run")


@dataclass(frozen=True, kw_only=True)
class Retrain(Config):
    """A reward model trained on a label set."""

    label_set: str = knob(help="its version", high=64)
    reward_model: str | None = knob(None, "checkpoint to fine-tune; without one from scratch")
    episodes_from: tuple[str, ...] = knob((), "runs with real episodes")
    steps: int | None = knob(None, "of the fit", low=1, high=100_000)
    learning_rate: float | None = knob(None, "of the fit", low=0.0, high=1.0)
    seed: int = knob(0, "of the fit", low=0, high=2**31)


@dataclass(frozen=True, kw_only=True)
class Compare(Config):
    """A retraining whose models are compared."""

    run: str = knob(help="its id")
    offset: int = knob(0, "so many rows are left out", low=0, high=2**31)
    limit: int = knob(MOST_ROWS, "at most so many", low=1, high=MOST_ROWS)


@dataclass(frozen=True, kw_only=True)
class Rejudge(Config):
    """A run to judge anew; without a reward model by the stored probabilities."""

    run: str = knob(help="its id")
    reward_model: str | None = knob(None, "checkpoint id")
    threshold: float | None = knob(None, "of success", low=0.0, high=1.0)
    iteration: int = knob(0, "one alone; 0: all", low=0, high=2**31)


@dataclass(frozen=True, kw_only=True)
class Flips(Config):
    """A re-judging, and which of its groups."""

    run: str = knob(help="its id")
    all: bool = knob(False, "also groups in which no outcome changed")


@dataclass(frozen=True, kw_only=True)
class Restart(Config):
    """An optimise run that goes on with another reward model."""

    run: str = knob(help="its id")
    reward_model: str = knob(help="checkpoint id")
    iteration: int | None = knob(
        None, "whose checkpoint; without one the newest", low=0, high=2**31
    )
    iterations: int | None = knob(None, "so many more", low=1, high=100_000)


class Retraining:
    """Label sets, trainings on them, and judging anew. Every method may be called from any thread.

    What a user can get wrong raises a `ValueError` of one sentence, an unknown id a `LookupError`.
    """

    def __init__(self, cabinet: Cabinet, launcher: Launcher, clips: Clips) -> None:
        self._cabinet = cabinet
        self._launcher = launcher
        self._clips = clips

    def label_sets(self) -> list[dict[str, Any]]:
        """Frozen label sets, newest first: {version, episodes, counts, filters, frozen}."""
        return [_shown(label_set) for label_set in self._cabinet.label_sets.all()]

    def models(self) -> list[dict[str, Any]]:
        """Reward models: {id, learns}; only video classifiers, which name no family, learn."""
        found = self._cabinet.checkpoints.all("reward_model")
        return [{"id": each.id, "learns": "family" not in each.config} for each in found]

    def standing(self, question: Labels) -> dict[str, int]:
        """How many labels a freeze would keep."""
        labels = self._cabinet.label_sets.standing(_filter(question))
        successes = sum(label.success for label in labels)
        imagined = sum(label.imagined for label in labels)
        return {
            "episodes": len(labels),
            "success": successes,
            "fail": len(labels) - successes,
            "imagined": imagined,
            "real": len(labels) - imagined,
        }

    def freeze(self, question: Labels) -> dict[str, Any]:
        """The label set that now holds them; equal content gives the same set."""
        return _shown(self._cabinet.label_sets.freeze(_filter(question)))

    def start(self, question: Retrain) -> dict[str, str]:
        """Queue a training: {run}."""
        told = {"steps": question.steps, "learning_rate": question.learning_rate}
        fit = FINE_TUNING | {name: value for name, value in told.items() if value is not None}
        options = {
            "label_set": question.label_set,
            "reward_model": question.reward_model or "",
            "episodes_from": list(question.episodes_from),
            "seed": question.seed,
            "fit": fit,
        }
        return {"run": self._launcher.start("train_reward", options, name="retrain")}

    def compare(self, question: Compare) -> dict[str, Any]:
        """Old and new model of a retraining side by side.

        Returns:
            {verdict, better, figures, reward_model, clips, total, rows}; a row is {episode_id, old,
            new, old_success, new_success, human, imagined, gold, image}, the largest changes first.
        """
        run, offset = self._run(question.run, "train_reward"), question.offset
        kept = read_documents(self._cabinet.runs.directory(run.id)).get(DISAGREEMENTS)
        rows = sorted(kept["rows"], key=_change, reverse=True) if kept else []
        result = run.result or {}
        return {
            "verdict": result.get("gold/verdict"),
            "better": result.get("gold/better"),
            "figures": {k: v for k, v in result.items() if k.startswith("gold/")},
            "reward_model": self._made(run.id),
            "clips": kept["clips"] if kept else 0,
            "total": len(rows),
            "rows": self._pictured(rows[offset : offset + question.limit]),
        }

    def rejudge(self, question: Rejudge) -> dict[str, str]:
        """Queue a run that judges another anew: {run}; from stored probabilities in a second."""
        run = self._run(question.run)
        low, high = bounds(run.config)
        options: dict[str, Any] = {
            "episodes_from": [run.id],
            "reward_model": question.reward_model or "",
            "iteration": question.iteration,
            "keep_low": low,
            "keep_high": high,
        }
        if question.threshold is not None:
            options["threshold"] = question.threshold
        return {"run": self._launcher.start("rejudge", options)}

    def flips(self, question: Flips) -> dict[str, Any]:
        """{counts, source, groups} of a re-judging: groups that flip first.

        Only groups with a member whose outcome changed, or all of them.
        """
        run = self._run(question.run, "rejudge")
        kept = read_documents(self._cabinet.runs.directory(run.id), GROUPS).get(GROUPS)
        groups = [g for g in (kept["groups"] if kept else []) if question.all or g["changed"]]
        sources = [str(name).rpartition("/")[2] for name in run.config["episodes_from"]]
        return {
            "counts": {
                name.removeprefix("rejudge/"): value for name, value in (run.result or {}).items()
            },
            "source": sources[0] if sources else None,
            "groups": sorted(groups, key=lambda group: not group["flipped"]),
        }

    def restart(self, question: Restart) -> dict[str, str]:
        """Queue an optimise run that goes on from a kept checkpoint: {run}."""
        run = self._run(question.run, "optimise")
        kept = self._kept(run.id)
        if not kept:
            raise ValueError(f"run {run.id} has kept no checkpoint to go on from")
        begin = question.iteration or kept[-1]
        if begin not in kept:
            raise ValueError(
                f"run {run.id} kept the checkpoints of iterations "
                f"{', '.join(map(str, kept))}, not of {begin}"
            )
        rest = max(1, int(run.config["iterations"]) - begin)
        options = {
            **run.config,
            "reward_model": question.reward_model,
            "restart_from": f"run/{run.id}/step-{begin:06d}",
            "iterations": begin + (question.iterations or rest),
        }
        return {"run": self._launcher.start("optimise", options, name="restart")}

    def checkpoints(self, question: OneRun) -> dict[str, list[int]]:
        """{iterations} of a run whose checkpoints are kept, ascending."""
        return {"iterations": self._kept(question.run)}

    def _kept(self, run_id: str) -> list[int]:
        begins = f"run/{run_id}/step-"
        names = [checkpoint.id for checkpoint in self._cabinet.checkpoints.all()]
        return sorted(int(name.removeprefix(begins)) for name in names if name.startswith(begins))

    def _made(self, run_id: str) -> str | None:
        """The newest checkpoint of a run, as the catalogue names it."""
        kept = self._kept(run_id)
        return f"run/{run_id}/step-{kept[-1]:06d}" if kept else None

    def _run(self, name: str, job: str | None = None) -> RunRow:
        run = self._cabinet.runs.get(name)
        if job not in (None, run.job):
            raise ValueError(f"run {run.id} is of {run.job}, not of {job}")
        return run

    def _pictured(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        known = self._cabinet.trajectories.find_all([row["episode"] for row in rows])
        films = self._clips.films(list(known.values()))
        return [
            {
                "episode_id": row["episode"],
                "human": "success" if row["human"] else "fail",
                "imagined": row["imagined"],
                "gold": row["gold"],
                "image": films.get(row["episode"]),
                **_said("old", row),
                **_said("new", row),
            }
            for row in rows
        ]


def _shown(label_set: LabelSet) -> dict[str, Any]:
    values = asdict(label_set)
    return {name: value for name, value in values.items() if name != "directory"}


def _filter(question: Labels) -> LabelFilter:
    values = question.to_dict()
    return LabelFilter(**{name: None if value == "" else value for name, value in values.items()})


def _said(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    said = row.get(name) or {"probability": None, "success": None}
    return {name: said["probability"], f"{name}_success": said["success"]}


def _change(row: Mapping[str, Any]) -> float:
    old, new = _said("old", row)["old"], row["new"]["probability"]
    return abs(new - old) if old is not None else float(new)
