"""The studio: every use case as a plain method; the only object that pages see. No Gradio."""

import functools
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np

from app.data.data import Data
from app.episodes.exports import Exports
from app.episodes.gallery import Gallery
from app.evaluate.evaluation import Evaluation
from app.fidelity.comparison import Fidelity
from app.imagine.imagining import Imagining
from app.imagine.starts import Starts
from app.judging.labelling import Labelling
from app.label.preferences import Preferences
from app.label.queues import Queues
from app.live.dreams import Dreams
from app.live.models import Models
from app.live.simulator import Simulator
from app.live.twins import Twins
from app.models.adopting import Adopting
from app.models.catalogue import describe_together, summary, task_of
from app.models.loader import Loader
from app.models.slots import ROLES, Slots
from app.models.sources import Sources, gate
from app.player.clips import Clips, episode_record
from app.reward.retraining import Retraining
from app.reward.thresholds import Reward
from app.runs.launcher import Launcher
from app.runs.supervisor import Supervisor
from app.train.preflight import Preflight
from app.train.siblings import Siblings
from app.train.training import Training
from app.web.checks import check_integer, check_names
from engine.device import slot_names
from engine.envs.gl import rendering_backend
from engine.records.tasks import get_task
from engine.runs.slot import Slot
from storage.cabinet import open_cabinet
from storage.checkpoints.catalogue import Checkpoint
from storage.downloads.sources import DEFAULT_RULES, Rules
from storage.episodes.episode_filter import EpisodeFilter
from storage.workspace import Workspace

Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")

IMAGINE_SECONDS = 300.0


def in_a_sentence(method: Callable[Arguments, Value]) -> Callable[Arguments, Value]:
    """An unknown id, too, is a `ValueError` for whoever calls the studio."""

    @functools.wraps(method)
    def call(*values: Arguments.args, **named: Arguments.kwargs) -> Value:
        try:
            return method(*values, **named)
        except LookupError as error:
            raise ValueError(str(error)) from error

    return call


class Studio:
    """One data directory, its dreams and its runs.

    Every method may be called from any thread. What a user can get wrong raises a `ValueError`
    of one sentence.

    Args:
        demo: `storage/demo`, with shipped checkpoints, start frames and sample episodes.
        public: on a Space: caps, labels into the guest pool, no paths.
        supervise: start the supervisor's rounds; tests that drive them themselves do not.
        rules: where foreign checkpoints may come from.
        check: the gate for foreign folders in our format; `ValueError` on one that is refused.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        demo: Path,
        public: bool = False,
        models: Models | None = None,
        simulator: Simulator | None = None,
        supervise: bool = True,
        rules: Rules = DEFAULT_RULES,
        check: Callable[[Path], None] = gate,
    ) -> None:
        demo = demo.resolve()  # workers are told absolute paths
        self.public = public
        self.data_directory = workspace.root
        self.cabinet = open_cabinet(workspace, demo=demo, rules=rules)
        places = slot_names()
        on_gpu = places[0].startswith("gpu")  # on a CPU runs and dreams both go on
        turn = Slot(workspace.locks / f"{places[0]}.lock").turn if on_gpu else nullcontext
        self._dreams = Dreams(models, turn=turn)
        self._simulator = simulator or Simulator()
        self._starts = Starts(demo / "starts.npz", workspace.starts, self._simulator)
        self._imagining = Imagining(self.cabinet, self._dreams, self._starts, public=public)
        self.open_dream = in_a_sentence(self._imagining.open)
        self.pull_dream = in_a_sentence(self._imagining.pull)
        self.act_dream = in_a_sentence(self._imagining.act)
        self.set_dream = in_a_sentence(self._imagining.change)
        self.propose_dream = in_a_sentence(self._imagining.propose)
        self.steer_dream = in_a_sentence(self._imagining.steer)
        self.branch_dream = in_a_sentence(self._imagining.branch)
        self.select_dream = in_a_sentence(self._imagining.select)
        self.dream_tree = in_a_sentence(self._imagining.tree)
        self.permalink = in_a_sentence(self._imagining.permalink)
        self.replay = in_a_sentence(self._imagining.replay)
        self._twins = Twins(self.cabinet, self._dreams, self._simulator)
        self._exports = Exports(self.cabinet, public=public)
        self.export_episode = in_a_sentence(self._exports.export)
        self.import_episodes = in_a_sentence(self._exports.take_in)
        self.export_labels = in_a_sentence(self._exports.export_labels)
        self.import_labels = in_a_sentence(self._exports.import_labels)
        loader = Loader(self._dreams, public=public)
        slots = Slots(self.cabinet.checkpoints, loader, task=self._starts.task, public=public)
        self.model_slots, self.load_status = slots.choices, slots.status
        self.checkpoint_details = in_a_sentence(slots.details)
        self.memory_plan = in_a_sentence(slots.memory_plan)
        self.load_models = in_a_sentence(slots.load)
        self.unload_models = in_a_sentence(slots.unload)
        self._clips = Clips(self.cabinet)
        self.gallery = Gallery(self.cabinet, self._clips, public=public)
        self.data = Data(
            self.cabinet, self._exports, self.gallery, demo=demo, rules=rules, public=public
        )
        weights = functools.partial(self.cabinet.queues.weights, guest=public)
        self.reward = Reward(self.cabinet, public=public, weights=weights)
        self._labels = Labelling(self.cabinet, public=public)
        self.preferences = Preferences(self.cabinet, public=public)
        self.queues = Queues(self.cabinet, self.gallery, public=public)
        self.supervisor = Supervisor(self.cabinet, slots=places)
        self._runs = Launcher(
            self.cabinet,
            self.supervisor,
            starts=demo / "starts.npz",
            public=public,
        )
        simulated = (self.cabinet, self._runs, self._simulator)
        self.evaluation = Evaluation(*simulated, sample=demo / "study", public=public)
        self.fidelity = Fidelity(*simulated, sample=demo / "fidelity.json", public=public)
        self.retraining = Retraining(self.cabinet, self._runs, self._clips, public=public)
        siblings = Siblings(self.cabinet, self._clips, public=public)
        preflight = Preflight(self.cabinet, self._runs, loader, task=self._starts.task)
        self.training = Training(self.cabinet, self._runs, siblings, preflight, public=public)
        sources = Sources(self.cabinet, self.data.errands, rules=rules, public=public, check=check)
        self.register_folder = in_a_sentence(sources.register_folder)
        self.plan_download = in_a_sentence(sources.plan)
        self.start_download = in_a_sentence(sources.start)
        self.downloads = sources.all
        self.cancel_download = in_a_sentence(sources.cancel)
        self.publication = in_a_sentence(sources.publication)
        self.publish_checkpoint = in_a_sentence(sources.publish)
        self.pull_checkpoint = in_a_sentence(sources.pull)
        self._adopting = Adopting(self.cabinet, self._runs, public=public, check=check)
        self.adopt_checkpoint = in_a_sentence(self._adopting.adopt)
        self.adoptions = self._adopting.all
        if supervise:
            self.supervisor.begin()

    def close(self) -> None:
        """End the threads and close the database; runs go on in their own processes."""
        self._dreams.close()
        self._simulator.close()
        self.supervisor.close()
        self._adopting.close()
        self.data.close()
        self.cabinet.close()

    def warm_up(self) -> None:
        """Load the first model of each role and probe the simulator, in the background."""
        first = [found[0] for role in ROLES if (found := self.cabinet.checkpoints.all(role))]
        self._dreams.warm_up(first)
        threading.Thread(target=rendering_backend, name="gl probe", daemon=True).start()

    def health(self) -> dict[str, Any]:
        """Whether the database answers; {ok, episodes}."""
        return {"ok": True, "episodes": self.cabinet.trajectories.count()}

    # Checkpoints

    @in_a_sentence
    def list_checkpoints(self, role: str | None = None) -> list[dict[str, Any]]:
        """Models that can be chosen: {id, role, name, hash, short, task, summary, card, …}."""
        return [summary(checkpoint) for checkpoint in self.cabinet.checkpoints.all(role)]

    @in_a_sentence
    def describe_together(self, policy: str, world_model: str, reward_model: str) -> dict[str, Any]:
        """{ok, text} and their {task, instruction, horizon} if three checkpoints fit together; a
        `ValueError` says why they do not."""
        chosen = self._chosen(policy, world_model, reward_model)
        text, task = describe_together(*chosen), task_of(chosen, self._starts.task)
        values = {"task": task.name, "instruction": task.instruction, "horizon": task.horizon}
        return {"ok": True, "text": text} | values

    # Starts

    def list_starts(self, task: str | None = None) -> list[dict[str, Any]]:
        """The shipped start frames, if they are of the task: {start_id, label, image}."""
        return self._starts.shipped(get_task(task) if task else None)

    def add_upload(self, image: np.ndarray) -> int:
        """Make an uploaded image, uint8 [h, w, 3], a start; its (negative) start id."""
        return self._starts.add_upload(image)

    def simulator_status(self) -> str:
        """Empty when the simulator can render, else one sentence naming what to install."""
        return self._simulator.missing

    @in_a_sentence
    def starts(self, query: dict[str, Any]) -> dict[str, Any]:
        """{pool, offset?, limit?, task?} -> {pool, total, offset, starts: [{start_id, label,
        image}], missing}, rendered as they are asked for."""
        values = check_names(query, allowed=("pool", "offset", "limit", "task"), required=("pool",))
        offset = check_integer("offset", values.get("offset", 0), 0, 2**31)
        limit = check_integer("limit", values.get("limit", 24), 1, 64)
        task = get_task(str(values["task"])) if values.get("task") else None
        return self._starts.pool(str(values["pool"]), offset=offset, limit=limit, task=task)

    def start_warning(self, start_id: int, task: str = "") -> str:
        """Empty, or a sentence if an uploaded image is unlike what models of the task have seen."""
        if task not in ("", self._starts.task.name):
            return ""  # nothing is known of what they have seen
        return self._starts.warning(check_integer("start_id", start_id, -(2**53), 2**31))

    # Dreams: those that are one question and one answer are bound in the constructor.

    @in_a_sentence
    def save_dream(self, query: str | dict[str, Any]) -> str:
        """Keep the path to {dream, node?} (a bare id: what was seen) as an episode; its id.

        The same path twice gives the same id."""
        return self.cabinet.trajectories.add(self._imagining.trajectory(query))

    @in_a_sentence
    def twin_dream(self, query: dict[str, Any]) -> dict[str, Any]:
        """{dream, node?} -> the same actions in the simulator: {twin: episode id, psnr, ssim,
        baseline_psnr, onset, imagined, real, judged_real}."""
        return self._twins.of(self._imagining.trajectory(query))

    @in_a_sentence
    def twin_episode(self, query: dict[str, Any]) -> dict[str, Any]:
        """{episode_id} -> as `twin_dream`, for a stored imagined episode."""
        values = check_names(query, allowed=("episode_id",), required=("episode_id",))
        return self._twins.of(self.cabinet.trajectories.get(str(values["episode_id"])))

    @in_a_sentence
    def twin_matrix(self, query: dict[str, Any]) -> dict[str, Any]:
        """{run} of fidelity -> {cells, agreement, calibration…}, real against imagined success."""
        values = check_names(query, allowed=("run",), required=("run",))
        return self._twins.matrix(str(values["run"]))

    @in_a_sentence
    def imagine(
        self,
        policy: str,
        world_model: str,
        reward_model: str,
        start_id: int,
        instruction: str,
        seed: int,
        denoising_steps: int,
    ) -> dict[str, Any]:
        """Imagine an episode to its end and store it; its record."""
        dream_id = self._imagining.open(
            {
                "policy": policy,
                "world_model": world_model,
                "reward_model": reward_model,
                "start_id": start_id,
                "instruction": instruction,
                "seed": seed,
                "denoising_steps": denoising_steps,
            }
        )
        self._dreams.complete(dream_id, seconds=IMAGINE_SECONDS)
        return self.get_episode(self.save_dream(dream_id))

    # Episodes

    @in_a_sentence
    def list_episodes(
        self,
        *,
        imagined: bool | None = None,
        run: str | None = None,
        task: str | None = None,
        iteration: int | None = None,
        labelled: bool | None = None,
        limit: int = 200,
        offset: int = 0,
    ) -> list[dict[str, Any]]:
        """Stored episodes that fit, newest first, without frames."""
        wanted = EpisodeFilter(
            imagined=imagined,
            run=run,
            task=task,
            iteration=iteration,
            labelled=labelled,
            guest=self.public,
        )
        rows = self.cabinet.trajectories.episodes(
            wanted,
            limit=check_integer("limit", limit, 1, 1_000),
            offset=check_integer("offset", offset, 0, 2**31),
        )
        return [episode_record(row) for row in rows]

    @in_a_sentence
    def get_episode(self, episode_id: str) -> dict[str, Any]:
        """The record of one episode."""
        return episode_record(self.cabinet.trajectories.find(str(episode_id), guest=self.public))

    @in_a_sentence
    def clip(self, episode_id: str) -> dict[str, Any]:
        """One episode with frames, actions, windows, verdict, lineage and replay record."""
        return self._clips.clip(str(episode_id))

    # Labels

    @in_a_sentence
    def label_queue(
        self, *, order: str = "unlabelled first", imagined: bool | None = None, limit: int = 20
    ) -> list[dict[str, Any]]:
        """Episodes to judge next."""
        return self._labels.queue(order=order, imagined=imagined, limit=limit)

    @in_a_sentence
    def label(self, event: dict[str, Any], *, actor: str = "local") -> dict[str, Any]:
        """Store a label durably; {saved, seq, at}. The same event id twice is stored once."""
        return self._labels.add(event, actor=actor)

    @in_a_sentence
    def undo_label(
        self, event_id: str, *, new_event_id: str, actor: str = "local"
    ) -> dict[str, Any]:
        """Take a label back by a new event; {saved, seq, at}."""
        return self._labels.undo(event_id, new_event_id=new_event_id, actor=actor)

    @in_a_sentence
    def label_history(self, *, limit: int = 20, actor: str | None = None) -> list[dict[str, Any]]:
        """The newest labels that stand, of one actor or of all, newest first."""
        return self._labels.history(limit=limit, actor=actor)

    def label_counts(self) -> dict[str, int]:
        """{labelled, success, fail, unsure, dream_broke, episodes}."""
        return self._labels.counts()

    # Runs

    def list_runs(self) -> list[dict[str, Any]]:
        """Every run, newest first."""
        return self._runs.all()

    @in_a_sentence
    def start_run(self, job: str, config: dict[str, Any]) -> str:
        """Queue a job for a worker process, if preflight has nothing against it; the run's id."""
        return self.training.start(job, config)

    @in_a_sentence
    def run_status(self, run_id: str) -> dict[str, Any]:
        """State, progress, time left, config and result of a run."""
        return self._runs.status(str(run_id))

    @in_a_sentence
    def control_run(self, run_id: str, control: str) -> dict[str, Any]:
        """pause, run (resume), stop (save and end) or cancel; the status then."""
        return self._runs.control(str(run_id), control)

    def stop_run(self, run_id: str) -> dict[str, Any]:
        """Ask a run to save and end; the status then."""
        return self.control_run(run_id, "stop")

    def _chosen(
        self, policy: str, world_model: str, reward_model: str
    ) -> tuple[Checkpoint, Checkpoint, Checkpoint]:
        get = self.cabinet.checkpoints.get
        return get(policy), get(world_model), get(reward_model)
