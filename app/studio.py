"""The studio: one data directory, and every room over it. No Gradio."""

import functools
import os
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from app.access import Access
from app.data.data import Data
from app.episodes.exports import Exports
from app.episodes.gallery import Gallery
from app.episodes.room import EpisodesRoom
from app.evaluate.evaluation import Evaluation
from app.evaluate.room import EvaluateRoom
from app.fidelity.comparison import Fidelity
from app.fidelity.room import FidelityRoom
from app.fidelity.shipped import Shipped
from app.imagine.imagining import Imagining
from app.imagine.room import ImagineRoom
from app.imagine.starts import Starts
from app.judging.labelling import Labelling
from app.judging.preferences import Preferences
from app.judging.strokes import Judging
from app.label.queues import Queues
from app.label.room import LabelRoom
from app.live.dreams import Dreams
from app.live.lent_gpu import LentGpu
from app.live.models import Models
from app.live.simulator import Simulator
from app.live.twins import Twins
from app.models.adopting import Adopting, gate
from app.models.gates import Gates
from app.models.loader import Loader
from app.models.room import ModelsRoom
from app.models.slots import ROLES, Slots
from app.models.sources import Sources
from app.player.clips import Clips
from app.reward.retraining import Retraining
from app.reward.room import RewardRoom
from app.reward.thresholds import ThresholdLab
from app.runs.errands import Errands
from app.runs.health import Health
from app.runs.launcher import Launcher
from app.runs.supervisor import Supervisor
from app.start.first_dream import load_first_dream
from app.start.room import StartRoom
from app.train.preflight import Preflight
from app.train.room import TrainRoom
from app.train.siblings import Siblings
from app.train.training import Training
from app.trials.room import TrialsRoom
from app.trials.trials import Trials
from app.visitors import Role
from engine.device import slot_names
from engine.envs.gl import rendering_backend
from engine.runs.slot import Slot
from storage.cabinet import open_cabinet
from storage.downloads.sources import DEFAULT_RULES, Rules
from storage.workspace import Workspace


class Studio:
    """One data directory, its dreams and its runs.

    Every method of a room may be called from any thread. What a user can get wrong raises a
    `ValueError` or, for an unknown id, a `LookupError` of one sentence.

    Args:
        demo: `storage/demo`, with shipped checkpoints, start frames and sample episodes.
        role: who the studio is open to; a visitor of a Space has limits and a pool of labels.
        supervise: start the supervisor's rounds; tests that drive them themselves do not.
        gpu: where the GPU is lent call by call.
        rules: where foreign checkpoints may come from.
        check: the gate for foreign folders in our format; `ValueError` on one that is refused.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        demo: Path,
        role: Role = Role.ADMIN,
        models: Models | None = None,
        simulator: Simulator | None = None,
        gpu: LentGpu | None = None,
        supervise: bool = True,
        rules: Rules = DEFAULT_RULES,
        check: Callable[[Path], None] = gate,
    ) -> None:
        demo = demo.resolve()  # workers are told absolute paths
        self.access = access = Access(role)
        self.data_directory = workspace.root
        self.cabinet = cabinet = open_cabinet(workspace, demo=demo, rules=rules)
        guest, limits, shipped = access.guest, access.limits, demo / "starts"

        places = slot_names()
        on_gpu = places[0].startswith("gpu")  # on a CPU runs and dreams both go on
        turn = Slot(workspace.locks / f"{places[0]}.lock").turn if on_gpu else nullcontext
        self.dreams = dreams = Dreams(
            models, turn=turn, most_of_one=lambda: access.limits.dreams, gpu=gpu
        )
        self.simulator = simulator = simulator or Simulator()
        self.supervisor = Supervisor(cabinet, slots=places)
        self.runs = runs = Launcher(cabinet, self.supervisor, starts=shipped, access=access)
        self.errands = errands = Errands(guest=guest)
        self.health = Health(cabinet, guest=guest)

        starts = Starts(shipped, workspace.starts, simulator)
        imagining = Imagining(cabinet, dreams, starts, access=access)
        clips = Clips(cabinet, guest=guest, run_name=runs.name_of)
        gallery = Gallery(cabinet, clips, guest=guest, run_name=runs.name_of)
        exports = Exports(cabinet, access=access)
        labels, pairs = Labelling(cabinet, guest=guest), Preferences(cabinet, guest=guest)
        judging = Judging(labels, pairs, imagining.save, access)
        twins = Twins(cabinet, dreams, simulator, access=access)
        self.episodes = EpisodesRoom(access, gallery, clips, exports, twins, judging)
        self.label = LabelRoom(access, self.episodes, Queues(cabinet, gallery, guest=guest))

        loader = Loader(dreams, pause=limits.seconds_between_loads)
        name, task = runs.checkpoint_name, starts.task
        slots = Slots(cabinet.checkpoints, loader, name=name, task=task, access=access)
        self._adopting = Adopting(cabinet, runs, check=check)
        sources = Sources(cabinet, errands, rules=rules)
        self.models = ModelsRoom(access, slots, sources, self._adopting, runs)
        self.imagine = ImagineRoom(access, self.episodes, imagining, starts, slots, simulator)
        first, curves = load_first_dream(demo / "first"), cabinet.curves
        self.start = StartRoom(access, starts, slots, gallery, runs, simulator, curves, first)

        weights = functools.partial(cabinet.queues.weights, guest=guest)
        thresholds = ThresholdLab(cabinet, guest=guest, weights=weights, run_name=runs.name_of)
        retraining = Retraining(cabinet, runs, clips)
        self.reward = RewardRoom(access, self.episodes, thresholds, retraining, slots, runs)
        siblings = Siblings(cabinet, clips, guest=guest)
        gates, lent = Gates(cabinet, demo / "gates"), gpu is not None
        most = limits.run_options.get("workers", os.cpu_count() or 1)
        preflight = Preflight(
            cabinet, runs, loader, gates=gates, task=starts.task, lent=lent, workers=most
        )
        training = Training(cabinet, runs, siblings, preflight, guest=guest)
        self.train = TrainRoom(access, self.episodes, training, slots, sources, errands, runs)

        simulated = (cabinet, runs, simulator)
        evaluation = Evaluation(*simulated, samples=demo / "studies", access=access)
        self.evaluate = EvaluateRoom(access, evaluation, clips)
        samples = Shipped(demo / "fidelity")
        fidelity = Fidelity(*simulated, clips=clips, shipped=samples, gates=gates, access=access)
        self.fidelity = FidelityRoom(access, fidelity)
        self.data = Data(
            cabinet, exports, gallery, errands, runs, demo=demo, rules=rules, access=access
        )
        handover = self.data.handover
        self.trials = TrialsRoom(access, Trials(cabinet, runs, handover), handover)
        if supervise:
            self.supervisor.begin()

    def close(self) -> None:
        """End the threads and close the database; runs go on in their own processes."""
        self.dreams.close()
        self.simulator.close()
        self.supervisor.close()
        self._adopting.close()
        self.errands.close()
        self.cabinet.close()

    def warm_up(self) -> None:
        """Load the first model of each role and probe the simulator, in the background."""
        first = [found[0] for role in ROLES if (found := self.cabinet.checkpoints.all(role))]
        self.dreams.warm_up(first)
        threading.Thread(target=rendering_backend, name="gl probe", daemon=True).start()
