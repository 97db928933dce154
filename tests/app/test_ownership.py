"""Function × role × owner: nobody on a Space changes what somebody else, or the house, began.

The functions come from the registry of what a site serves, so a new one stands in the table or
fails here.
"""

import dataclasses
import json
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest

from app.access import RULES
from app.live.models import Models
from app.live.simulator import Simulator
from app.studio import Studio
from app.ui import site
from app.ui.wire import served_by
from app.visitors import Person, Role, asking
from app.web.questions import is_required, wire_name, without_none
from engine.config import Config
from engine.records.types import Outcome, Trajectory
from storage.judging.queue_orders import Place
from storage.workspace import open_workspace
from tests.app.conftest import START, load_fake, make_demo, three

A, B = "visitor-a-0000000", "visitor-b-0000000"
DREAM = {"policy": "demo/base", "world_model": "demo/world", "reward_model": "demo/reward"}

# What acts on something that was begun: whoever began it and an admin may, nobody else.
OF_DREAMS = {
    f"imagine.{name}"
    for name in (
        *("act_dream", "branch_dream", "dream_tree", "permalink", "propose_dream", "pull_dream"),
        *("save_dream", "select_dream", "set_dream", "steer_dream", "twin_dream"),
    )
}
OF_RUNS = {"header.control", "train.control", "train.describe", "api.stop_run"}
OF_ERRANDS = {"data.cancel", "data.follow", "train.call_off", "train.errands"}
SAYING = {f"{panel}.judge" for panel in ("episodes", "imagine", "label", "thresholds", "train")}
OF_LABELS = SAYING | {"api.label"}
# What reads what everybody may see, or begins something of one's own.
OPEN = {
    *("api.get_episode", "api.imagine", "api.list_checkpoints", "api.list_episodes"),
    *("api.next_item", "api.rm_audit", "api.run_status", "api.start_run"),
    *("data.choices", "data.export", "data.kept", "data.log", "data.part", "data.plan"),
    *("episodes.clip", "episodes.export_episode", "episodes.facets", "episodes.films"),
    *("episodes.find", "episodes.find_groups", "episodes.said", "episodes.siblings"),
    *("episodes.twin_episode", "evaluate.choices", "evaluate.clip", "evaluate.overview"),
    *("evaluate.plan", "evaluate.power", "evaluate.report", "evaluate.results"),
    *("evaluate.study_report", "evaluate.videos", "fidelity.choices", "fidelity.clip"),
    *("fidelity.pairs", "fidelity.plan", "fidelity.results", "fidelity.runs", "header.jobs"),
    *("imagine.clip", "imagine.export_episode", "imagine.open_dream", "imagine.replay"),
    *("fidelity.films", "imagine.probe_dream", "imagine.reality", "label.films"),
    "label.task_card",
    *("imagine.said", "label.clip", "label.episode", "label.next", "label.pairs"),
    *("label.queue", "label.queues", "label.rail", "label.release", "label.runs", "label.said"),
    *("label.statistics", "models.details", "models.load", "models.plan", "models.slots"),
    *("models.status", "retrain.clip", "retrain.compare", "retrain.export_episode"),
    *("retrain.flips", "retrain.follow", "retrain.overview", "retrain.restarts"),
    *("retrain.standing", "starts.clip", "starts.shipped", "starts.starts", "thresholds.clip"),
    *("thresholds.details", "thresholds.export_episode", "thresholds.films", "thresholds.lab"),
    *("thresholds.rejudge", "thresholds.said", "thresholds.siblings"),
    *("thresholds.twin_episode", "train.checkpoints", "train.clip", "train.differences"),
    *("train.export_episode", "train.films", "train.flip", "train.follow", "train.probes"),
    *("trials.overview", "trials.seen", "trials.sheet"),
    *("train.said", "train.siblings", "train.strip", "train.table", "train.twin_matrix"),
}
OWNED = OF_DREAMS | OF_RUNS | OF_ERRANDS | OF_LABELS
# Events of Gradio's own components: they fill forms, and launch a run of who asks.
EVENTS = {
    *("banner", "on_open", "on_upload", "on_models", "<lambda>"),
    *("choose", "checked", "here", "of_kind", "on_launch", "on_change", "on_task"),
}
PEOPLE = {role: Person(B, role) for role in Role}
OWNERS = {"themselves": B, "somebody else": A, "the house": ""}


@dataclasses.dataclass
class Begun:
    """What somebody began, by its names."""

    dream: str
    run: str
    label: str
    errand: str


class Public:
    """A public studio, every function that it serves, and what is there to spoil."""

    def __init__(self, root: Path) -> None:
        def no_simulator(task: object) -> Any:
            raise ValueError("there is no simulator here")

        self.studio = Studio(
            open_workspace(root / "data"),
            demo=make_demo(root / "demo"),
            role=Role.VISITOR,
            models=Models(load_fake),
            simulator=Simulator(no_simulator),
            supervise=False,
        )
        blocks = site.build(self.studio, device="CPU", instruction="push the mug", horizon=48)
        self.functions = {fn.__qualname__: fn for fn in served_by(blocks)}
        self.events: set[str] = set()
        for event in blocks.fns.values():
            if event.fn is not None and event.api_visibility == "public":
                self.functions[f"api.{event.api_name}"] = event.fn
            elif event.fn is not None:
                self.events.add(event.fn.__qualname__.rpartition(".")[2])
        self.studio.cabinet.trajectories.add(_episode("episode-1"))
        told = {"filter": {}, "order": "random", "gold": 0}
        self.studio.cabinet.queues.add(
            "queue-1", [Place(episode_id="episode-1")], query=told, overlap=1
        )
        self._count = 0
        self.untouched: dict[str, Begun] = {}

    def begun(self, owner: str) -> Begun:
        """What somebody began and nobody changed, as far as the tests before found."""
        if owner not in self.untouched:
            self.untouched[owner] = self.begin(owner)
        return self.untouched[owner]

    def begin(self, owner: str) -> Begun:
        """A dream, a run, a label and an errand of somebody."""
        self._count += 1
        studio, number = self.studio, self._count
        event, run = f"event-{number:04d}", f"run-{number}"
        with asking(owner):
            dream = self.functions["imagine.open_dream"]({**DREAM, "start_id": START})["dream"]
            self.functions["imagine.act_dream"]({"dream": dream, "action": "chunk"})
            studio.supervisor.submit(run, "tiny", {}, owner=owner)
            words = {"event_id": event, "episode_id": "episode-1", "outcome": "fail"}
            studio.episodes.judging.labels.add(words, actor="anybody")
            errand = studio.errands.start("export", "a file", lambda progress: {})["id"]
        return Begun(dream, run, event, errand)

    def ask(self, name: str, question: Mapping[str, Any]) -> Any:
        """An answer, or a refusal, of a function of a page or of the API."""
        fn = self.functions[name]
        if not name.startswith("api."):
            return fn(question)
        try:
            return fn(**question)
        except (TypeError, ValueError, LookupError, gr.Error) as error:
            return {"refused": str(error)}

    def standing(self, begun: Begun) -> str:
        """All of what somebody began that another could spoil, as text."""
        studio = self.studio
        dream = studio.dreams._dreams.get(begun.dream)
        labels = studio.episodes.judging.labels.of("episode-1")
        control = studio.cabinet.runs.directory(begun.run) / "control.json"
        errand = studio.errands._errands[begun.errand]
        found = {
            "dream": dream and [dream.records(), dream.readout(), dream.reel.epoch],
            "run": studio.cabinet.runs.get(begun.run).state,
            "control": control.read_text() if control.exists() else "",
            "name": studio.runs.status(begun.run)["name"],
            "label": [one for one in labels if one["event_id"] == begun.label],
            "stopped": errand.stop.is_set(),
            "queues": [(one.name, one.total) for one in studio.cabinet.queues.all()],
            "modes": studio.cabinet.failure_modes.all(),
            "thresholds": len(studio.cabinet.thresholds.all("reward")),
            "checkpoints": [one.hash for one in studio.cabinet.checkpoints.all("policy")],
        }
        return json.dumps(found, default=str, sort_keys=True)


def _episode(name: str) -> Trajectory:
    frames = np.zeros((3, 8, 8, 3), np.uint8)
    return Trajectory(
        id=name,
        task="coffee-push",
        start_id=START,
        instruction="push the mug",
        imagined=True,
        outcome=Outcome(True, 2),
        frames=frames,
        actions=frames[:2, 0, :2, 0].astype("float32"),
        lineage={"created": 1_000.0},
    )


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Public]:
    public = Public(tmp_path_factory.mktemp("public"))
    yield public
    public.studio.close()


def aimed(name: str, begun: Begun, number: int) -> dict[str, Any]:
    """A question to a function of the table that means what somebody began."""
    if name in OF_RUNS:
        more = {"control": "cancel"} if name.endswith("control") else {"name": "mine"}
        return {"run_id": begun.run} if name == "api.stop_run" else {"run": begun.run, **more}
    if name in ("data.follow", "train.errands"):
        return {"ids": [begun.errand]}
    if name in OF_ERRANDS:
        return {"id": begun.errand}
    words = {"event_id": f"changed-{number}", "supersedes": begun.label, "outcome": "success"}
    if name == "api.label":
        return {**words, "episode_id": "episode-1", "dream_broke": None}
    if name in OF_LABELS:
        return {"strokes": [{**words, "episode_id": "episode-1"}]}
    more = {
        "act_dream": {"action": "undo"},
        "branch_dream": {"node": 0, "vary": "policy", "count": 1},
        "select_dream": {"node": 0},
        "set_dream": {"seed": 3},
        "steer_dream": {"mode": "human"},
    }
    return {"dream": begun.dream} | more.get(name.partition(".")[2], {})


def refused(answer: Any) -> str:
    """The sentence of a refusal, wherever it stands; empty where something was done or shown."""
    if answer.get("errands") == []:
        return "the studio no longer knows this errand"
    acks = answer.get("acks") or [answer]
    return str(acks[0].get("refused") or "")


NOT_YOURS = ("somebody else", "only who began", "no longer knows")


def test_every_function_stands_in_the_table(public: Public) -> None:
    assert set(public.functions) == RULES.keys() | OWNED | OPEN
    assert len(RULES) + len(OWNED) + len(OPEN) == len(public.functions)
    assert public.events == EVENTS


@pytest.mark.parametrize("owner", OWNERS)
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("name", sorted(OWNED))
def test_what_was_begun_is_its_owners_and_the_admins(
    public: Public, name: str, role: Role, owner: str
) -> None:
    begun = public.begun(OWNERS[owner])
    before = public.standing(begun)
    with asking(PEOPLE[role]):
        answer = public.ask(name, aimed(name, begun, public._count))
    sentence = refused(answer)
    if public.standing(begun) != before:
        del public.untouched[OWNERS[owner]]
    if role is Role.ADMIN or owner == "themselves":
        # Allowed: what is still refused is refused for another reason.
        assert not any(part in sentence for part in NOT_YOURS), sentence
    else:
        assert any(part in sentence for part in NOT_YOURS), answer
        assert public.standing(begun) == before


def test_the_owner_can_do_what_the_table_forbids_others(public: Public) -> None:
    for name in ("imagine.act_dream", "train.control", "data.cancel", "label.judge"):
        begun = public.begin(B)
        before = public.standing(begun)
        with asking(B):
            assert not refused(public.ask(name, aimed(name, begun, public._count)))
        assert public.standing(begun) != before, name


@pytest.mark.parametrize(
    ("role", "owner"), [(Role.VISITOR, "the house"), (Role.ANNOTATOR, "somebody else")]
)
def test_no_function_at_all_changes_what_another_began(
    public: Public, role: Role, owner: str
) -> None:
    begun = public.begin(OWNERS[owner])
    before = public.standing(begun)
    with asking(PEOPLE[role]):
        for name, fn in public.functions.items():
            for question in questions_to(fn, begun):
                public.ask(name, question)
    assert public.standing(begun) == before


def questions_to(fn: Callable[..., Any], begun: Begun) -> Iterator[dict[str, Any]]:
    """Questions to any function, every name in them that of something which another began."""
    kind = fn.__annotations__.get("question")
    if kind is None or not dataclasses.is_dataclass(kind):
        yield {}
        yield {"run_id": begun.run, "id": "episode-1"}
        return
    names = {wire_name(field): field for field in dataclasses.fields(kind)}
    whole = {name: _filled(name, kind, field, begun) for name, field in names.items()}
    yield whole
    yield {name: value for name, value in whole.items() if is_required(names[name])}
    for name, field in names.items():
        for choice in field.metadata.get("choices") or ():
            yield whole | {name: choice}


def _filled(name: str, kind: type[Config], field: Any, begun: Begun) -> Any:
    stroke = {"episode_id": "episode-1", "outcome": "success", "supersedes": begun.label}
    known = {
        **three("demo/base", "demo/world", "demo/reward"),
        "dream": begun.dream,
        "run": begun.run,
        "runs": [begun.run],
        "id": begun.errand,
        "episode": "episode-1",
        "episode_id": "episode-1",
        "episodes": ["episode-1"],
        "ids": [begun.label],
        "queue": "queue-1",
        "name": "queue-1",
        "actor": f"guest:{A}",
        "event_id": "odd-00001",
        "actors": [f"guest:{A}"],
        "confirm": True,
        "node": 0,
        "strokes": [
            {"undo": begun.label, "event_id": "odd-00002", "actor": f"guest:{A}"},
            {**stroke, "event_id": "odd-00003", "actor": f"guest:{A}"},
            {"dream": {"dream": begun.dream}, "event_id": "odd-00004", "outcome": "fail"},
        ],
    }
    if name in known:
        return known[name]
    if choices := field.metadata.get("choices"):
        return choices[0]
    hint, _ = without_none(typing.get_type_hints(kind)[field.name])
    empty = {str: "x", int: field.metadata.get("low") or 0, float: 0.5, bool: False}
    return empty.get(hint, [] if typing.get_origin(hint) is tuple else {})
