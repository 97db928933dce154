"""The Models page's use cases, by checkpoint ids: what may be chosen, needs, is loaded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.access import Access
from app.models.catalogue import (
    compatibility,
    describe_together,
    of_one_task,
    summary,
    task_of,
    with_names,
)
from app.models.lineage import details
from app.models.loader import Loader, Three
from app.web.checks import check_integer
from engine.config import Config, knob
from engine.records.tasks import Task
from storage.checkpoints.catalogue import Catalogue

MOST_ROWS = 512
ROLES = ("policy", "world_model", "reward_model")


@dataclass(frozen=True, kw_only=True)
class OneCheckpoint(Config):
    """A checkpoint by its id."""

    id: str = knob(help="its id", high=300)


@dataclass(frozen=True, kw_only=True)
class Chosen(Config):
    """Three checkpoints."""

    policy: str = knob(help="checkpoint id", high=300)
    world_model: str = knob(help="checkpoint id", high=300)
    reward_model: str = knob(help="checkpoint id", high=300)


@dataclass(frozen=True, kw_only=True)
class Plan(Chosen):
    """What so many rollouts at once need."""

    rows: int = knob(1, "rollouts at once", low=1, high=MOST_ROWS)


@dataclass(frozen=True, kw_only=True)
class Load(Plan):
    """Three checkpoints to load."""

    as_proposed: bool = knob(False, "where they do not fit, as the memory plan proposes")


class Slots:
    """Three slots: a policy, a world model and a reward model.

    Args:
        task: of checkpoints that name none; its judge and horizon fix what is planned and timed.
        name: what the checkpoint of an id is called.
    """

    def __init__(
        self,
        checkpoints: Catalogue,
        loader: Loader,
        *,
        name: Callable[[str], str],
        task: Task,
        access: Access,
    ) -> None:
        self._name = name
        self._checkpoints = checkpoints
        self._loader = loader
        self._task = task
        self._access = access

    def checkpoints(self, role: str | None = None) -> list[dict[str, Any]]:
        """Models that can be chosen: {id, called, role, hash, short, task, summary, card, …}.

        Raises:
            ValueError: there is no such role.
        """
        found = [summary(checkpoint) for checkpoint in self._checkpoints.all(role)]
        return with_names(found, self._name)

    def together(self, question: Chosen) -> dict[str, Any]:
        """{text} and the {task, instruction, horizon} of three checkpoints that fit together.

        Raises:
            LookupError: an unknown checkpoint.
            ValueError: why they do not fit.
        """
        chosen = self._chosen(question)
        text, task = describe_together(*chosen), task_of(chosen, self._task)
        values = {"task": task.name, "instruction": task.instruction, "horizon": task.horizon}
        return {"text": text} | values

    def tasks(self) -> list[str]:
        """Tasks that have a model for every slot."""
        known = {(each.role, each.task) for each in self._checkpoints.all()}
        named = sorted({task for _, task in known if task})
        return [task for task in named if all((role, task) in known for role in ROLES)]

    def first_of(self, task: str, role: str) -> str | None:
        """The first checkpoint of a task with a role."""
        found = (each.id for each in self._checkpoints.all(role) if each.task == task)
        return next(found, None)

    def follow(self, changed: str, chosen: Mapping[str, str | None]) -> dict[str, str | None]:
        """Ids by role after the one of a role was changed: those of another task give way."""
        known = self._checkpoints.all()
        by_id = {each.id: each for each in known}
        there = {role: by_id[name] for role, name in chosen.items() if name in by_id}
        if changed not in there:
            return dict(chosen)
        found = of_one_task(there, changed, known)
        return dict(chosen) | {role: each.id for role, each in found.items()}

    def choices(self) -> dict[str, Any]:
        """{slots: [{role, choices}], public}: what may be chosen for each slot."""
        slots = [{"role": role, "choices": self.checkpoints(role)} for role in ROLES]
        return {"slots": slots, "public": self._access.guest}

    def details(self, question: OneCheckpoint) -> dict[str, Any]:
        """One checkpoint with source, revision, parameters, data, config and lineage."""
        checkpoint = self._checkpoints.get(question.id)
        parameters = self._loader.parameters(checkpoint)
        return details(checkpoint, self._checkpoints.by_hash, parameters=parameters)

    def memory_plan(self, question: Plan) -> dict[str, Any]:
        """What so many rollouts at once need of the device, and what would fit if they do not.

        The values of `engine.memory.planner.MemoryPlan`, and as `checks` what the three agree on.
        """
        chosen = self._chosen(question)
        task = task_of(chosen, self._task)
        plan = self._loader.plan(chosen, rows=self._rows(question), horizon=task.horizon)
        return plan | {"checks": compatibility(*chosen, task)}

    def load(self, question: Load) -> dict[str, Any]:
        """Begin to load three models and to time their first use; `status` follows it."""
        chosen, rows = self._chosen(question), self._rows(question)
        task = task_of(chosen, self._task)
        return self._loader.load(chosen, task, rows=rows, as_proposed=question.as_proposed)

    def unload(self, question: Chosen) -> dict[str, Any]:
        """Take models out of memory; the status then."""
        return self._loader.unload(self._chosen(question))

    def status(self) -> dict[str, Any]:
        """Progress by component, what is loaded, and the times of the first use."""
        return self._loader.status()

    def _rows(self, question: Plan) -> int:
        return check_integer("rows", question.rows, 1, self._access.limits.rows)

    def _chosen(self, question: Chosen) -> Three:
        get = self._checkpoints.get
        return get(question.policy), get(question.world_model), get(question.reward_model)
