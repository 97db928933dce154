"""From labels to a better reward model, and from it to new judgements of what was imagined."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from app.episodes.groups import bounds
from app.player.clips import Clips
from app.runs.launcher import Launcher
from app.web.checks import check_flag, check_integer, check_names, check_number, check_text
from engine.runs.names import DISAGREEMENTS, GROUPS
from engine.runs.run_directory import read_documents
from storage.cabinet import Cabinet
from storage.judging.label_sets import LabelFilter, LabelSet
from storage.runs.runs import RunRow

FILTERS = ("actor", "mode", "imagined", "task", "run")
# What a retraining may be told beside its labels and its models: name -> (lowest, highest).
STEPS = (1, 100_000)
MOST_ROWS = 48
# A fine-tuning: few steps, small ones, so that what the parent knew is not unlearnt.
FINE_TUNING = {"steps": 300, "learning_rate": 3e-4, "weight_decay": 0.05, "checkpoint_every": 100}


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

    def standing(self, query: object) -> dict[str, int]:
        """{actor?, mode?, imagined?, task?, run?} -> how many labels a freeze would keep."""
        labels = self._cabinet.label_sets.standing(self._filter(query))
        successes = sum(label.success for label in labels)
        imagined = sum(label.imagined for label in labels)
        return {
            "episodes": len(labels),
            "success": successes,
            "fail": len(labels) - successes,
            "imagined": imagined,
            "real": len(labels) - imagined,
        }

    def freeze(self, query: object) -> dict[str, Any]:
        """As `standing` -> the label set that now holds them; equal content gives the same set."""
        return _shown(self._cabinet.label_sets.freeze(self._filter(query)))

    def start(self, query: object) -> str:
        """{label_set, reward_model?, episodes_from?, steps?, learning_rate?, seed?} -> run id.

        Args:
            query: `label_set` is a version, `reward_model` the checkpoint to fine-tune (without
                one a model starts afresh), `episodes_from` ids of runs with real episodes.
        """
        values = check_names(
            query,
            allowed=(
                *("label_set", "reward_model", "episodes_from"),
                *("steps", "learning_rate", "seed"),
            ),
            required=("label_set",),
        )
        fit: dict[str, Any] = dict(FINE_TUNING)
        if "steps" in values:
            fit["steps"] = check_integer("steps", values["steps"], *STEPS)
        if "learning_rate" in values:
            fit["learning_rate"] = check_number("learning_rate", values["learning_rate"], 0.0, 1.0)
        return self._launcher.start(
            "train_reward",
            {
                "label_set": check_text("label_set", values["label_set"], 64),
                "reward_model": values.get("reward_model") or "",
                "episodes_from": values.get("episodes_from") or [],
                "seed": check_integer("seed", values.get("seed", 0), 0, 2**31),
                "fit": fit,
            },
            name="retrain",
        )

    def compare(self, query: object) -> dict[str, Any]:
        """{run, offset?, limit?} of a retraining -> old and new model side by side.

        Returns:
            {verdict, better, figures, reward_model, clips, total, rows}; a row is {episode_id, old,
            new, old_success, new_success, human, imagined, gold, image}, the largest changes first.
        """
        values = check_names(query, allowed=("run", "offset", "limit"), required=("run",))
        run = self._run(values["run"], "train_reward")
        offset = check_integer("offset", values.get("offset", 0), 0, 2**31)
        limit = check_integer("limit", values.get("limit", MOST_ROWS), 1, MOST_ROWS)
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
            "rows": self._pictured(rows[offset : offset + limit]),
        }

    def rejudge(self, query: object) -> str:
        """{run, reward_model?, threshold?, iteration?} -> id of the run that judges it anew.

        Without a reward model the stored probabilities are used: that takes a second.
        """
        values = check_names(
            query, allowed=("run", "reward_model", "threshold", "iteration"), required=("run",)
        )
        run = self._run(values["run"])
        low, high = bounds(run.config)
        options: dict[str, Any] = {
            "episodes_from": [run.id],
            "reward_model": values.get("reward_model") or "",
            "iteration": check_integer("iteration", values.get("iteration") or 0, 0, 2**31),
            "keep_low": low,
            "keep_high": high,
        }
        if values.get("threshold") is not None:
            options["threshold"] = check_number("threshold", values["threshold"], 0.0, 1.0)
        return self._launcher.start("rejudge", options)

    def flips(self, query: object) -> dict[str, Any]:
        """{run, all?} of a re-judging -> {counts, source, groups}: groups that flip first.

        Only groups with a member whose outcome changed, or all of them.
        """
        values = check_names(query, allowed=("run", "all"), required=("run",))
        run = self._run(values["run"], "rejudge")
        everything = check_flag("all", values.get("all", False))
        kept = read_documents(self._cabinet.runs.directory(run.id), GROUPS).get(GROUPS)
        groups = [g for g in (kept["groups"] if kept else []) if everything or g["changed"]]
        sources = [str(name).rpartition("/")[2] for name in run.config["episodes_from"]]
        return {
            "counts": {
                name.removeprefix("rejudge/"): value for name, value in (run.result or {}).items()
            },
            "source": sources[0] if sources else None,
            "groups": sorted(groups, key=lambda group: not group["flipped"]),
        }

    def restart(self, query: object) -> str:
        """{run, reward_model, iteration?, iterations?} -> id of an optimise run that goes on.

        It goes on from the kept checkpoint of an iteration (without one: the newest) with another
        reward model, for `iterations` more.
        """
        values = check_names(
            query,
            allowed=("run", "reward_model", "iteration", "iterations"),
            required=("run", "reward_model"),
        )
        run = self._run(values["run"], "optimise")
        kept = self.checkpoints(run.id)
        if not kept:
            raise ValueError(f"run {run.id} has kept no checkpoint to go on from")
        begin = check_integer("iteration", values.get("iteration") or kept[-1], 0, 2**31)
        if begin not in kept:
            raise ValueError(
                f"run {run.id} kept the checkpoints of iterations "
                f"{', '.join(map(str, kept))}, not of {begin}"
            )
        rest = max(1, int(run.config["iterations"]) - begin)
        more = check_integer("iterations", values.get("iterations") or rest, 1, 100_000)
        return self._launcher.start(
            "optimise",
            {
                **run.config,
                "reward_model": values["reward_model"],
                "restart_from": f"run/{run.id}/step-{begin:06d}",
                "iterations": begin + more,
            },
            name="restart",
        )

    def checkpoints(self, run_id: str) -> list[int]:
        """Iterations of a run whose checkpoints are kept, ascending."""
        begins = f"run/{run_id}/step-"
        names = [checkpoint.id for checkpoint in self._cabinet.checkpoints.all()]
        return sorted(int(name.removeprefix(begins)) for name in names if name.startswith(begins))

    def _made(self, run_id: str) -> str | None:
        """The newest checkpoint of a run, as the catalogue names it."""
        kept = self.checkpoints(run_id)
        return f"run/{run_id}/step-{kept[-1]:06d}" if kept else None

    def _filter(self, query: object) -> LabelFilter:
        values = check_names(query, allowed=FILTERS)
        texts = {
            name: check_text(name, values[name], 200)
            for name in FILTERS
            if _given(values, name) and name != "imagined"
        }
        imagined = (
            check_flag("imagined", values["imagined"]) if _given(values, "imagined") else None
        )
        return LabelFilter(**texts, imagined=imagined)

    def _run(self, name: object, job: str | None = None) -> RunRow:
        run = self._cabinet.runs.get(check_text("run", name, 128))
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


def _given(values: Mapping[str, Any], name: str) -> bool:
    return values.get(name) not in (None, "")


def _said(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    said = row.get(name) or {"probability": None, "success": None}
    return {name: said["probability"], f"{name}_success": said["success"]}


def _change(row: Mapping[str, Any]) -> float:
    old, new = _said("old", row)["old"], row["new"]["probability"]
    return abs(new - old) if old is not None else float(new)
