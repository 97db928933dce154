"""The Models page's use cases, by checkpoint ids: what may be chosen, needs, is loaded."""

from typing import Any

from app.access import Access
from app.models.catalogue import compatibility, describe_together, summary, task_of
from app.models.lineage import details
from app.models.loader import Loader, Three
from app.web.checks import check_integer
from engine.records.tasks import Task
from storage.checkpoints.catalogue import Catalogue

ROLES = ("policy", "world_model", "reward_model")


class Slots:
    """Three slots: a policy, a world model and a reward model.

    Args:
        task: of checkpoints that name none; its judge and horizon fix what is planned and timed.
    """

    def __init__(
        self, checkpoints: Catalogue, loader: Loader, *, task: Task, access: Access
    ) -> None:
        self._checkpoints = checkpoints
        self._loader = loader
        self._task = task
        self._access = access

    def checkpoints(self, role: str | None = None) -> list[dict[str, Any]]:
        """Models that can be chosen: {id, role, name, hash, short, task, summary, card, …}.

        Raises:
            ValueError: there is no such role.
        """
        return [summary(checkpoint) for checkpoint in self._checkpoints.all(role)]

    def together(self, policy: str, world_model: str, reward_model: str) -> dict[str, Any]:
        """{text} and the {task, instruction, horizon} of three checkpoints that fit together.

        Raises:
            LookupError: an unknown checkpoint.
            ValueError: why they do not fit.
        """
        chosen = self._chosen(policy, world_model, reward_model)
        text, task = describe_together(*chosen), task_of(chosen, self._task)
        values = {"task": task.name, "instruction": task.instruction, "horizon": task.horizon}
        return {"text": text} | values

    def choices(self) -> dict[str, Any]:
        """{slots: [{role, choices}], public}: what may be chosen for each slot."""
        slots = [{"role": role, "choices": self.checkpoints(role)} for role in ROLES]
        return {"slots": slots, "public": self._access.guest}

    def details(self, checkpoint_id: str) -> dict[str, Any]:
        """One checkpoint with source, revision, parameters, data, config and lineage."""
        checkpoint = self._checkpoints.get(checkpoint_id)
        parameters = self._loader.parameters(checkpoint)
        return details(checkpoint, self._checkpoints.by_hash, parameters=parameters)

    def memory_plan(
        self, policy: str, world_model: str, reward_model: str, batch: int
    ) -> dict[str, Any]:
        """What `batch` rollouts at once need of the device, and what would fit if they do not.

        The values of `engine.memory.planner.MemoryPlan`, and as `checks` what the three agree on.
        """
        chosen = self._chosen(policy, world_model, reward_model)
        task = task_of(chosen, self._task)
        plan = self._loader.plan(chosen, rows=self._rows(batch), horizon=task.horizon)
        return plan | {"checks": compatibility(*chosen, task)}

    def load(
        self,
        policy: str,
        world_model: str,
        reward_model: str,
        *,
        batch: int = 1,
        as_proposed: bool = False,
    ) -> dict[str, Any]:
        """Begin to load three models and to time their first use; `status` follows it.

        Args:
            as_proposed: if they do not fit, load them as the memory plan proposes.
        """
        chosen = self._chosen(policy, world_model, reward_model)
        task = task_of(chosen, self._task)
        return self._loader.load(chosen, task, rows=self._rows(batch), as_proposed=as_proposed)

    def unload(self, checkpoint_ids: list[str]) -> dict[str, Any]:
        """Take models out of memory; the status then."""
        return self._loader.unload([self._checkpoints.get(each) for each in checkpoint_ids])

    def status(self) -> dict[str, Any]:
        """Progress by component, what is loaded, and the times of the first use."""
        return self._loader.status()

    def _rows(self, batch: int) -> int:
        return check_integer("batch", batch, 1, self._access.limits.rows)

    def _chosen(self, policy: str, world_model: str, reward_model: str) -> Three:
        get = self._checkpoints.get
        return get(policy), get(world_model), get(reward_model)
