"""The public API (design.md §9): JSON in and out, every refusal as one sentence.

Use it with `gradio_client`: `Client(URL).predict(api_name="/list_checkpoints")`. Everything else
that the pages call is private.
"""

from typing import Any

from gradio.events import api as expose

from app.access import Access
from app.data.auditing import Auditing
from app.episodes.room import EpisodesRoom
from app.imagine.imagining import Imagining
from app.label.queues import NextClips, Queues
from app.models.slots import Slots
from app.player.clips import OneEpisode
from app.runs.launcher import Control, Launcher
from app.train.training import Training
from app.web.calls import guarded, in_sentences
from app.web.questions import ask

Record = dict[str, Any]


def publish(
    access: Access,
    *,
    episodes: EpisodesRoom,
    dreams: Imagining,
    queues: Queues,
    training: Training,
    audit: Auditing,
    slots: Slots,
    runs: Launcher,
) -> None:
    """Add the public endpoints to the Blocks being built."""

    def list_checkpoints(role: str | None = None) -> list[Record]:
        """Checkpoints that can be named elsewhere.

        Args:
            role: policy, world_model or reward_model; all of them when left out.
        """
        return slots.checkpoints(role)

    def list_episodes(filter: Record | None = None) -> list[Record]:
        """Stored episodes, newest first, without their frames.

        Args:
            filter: any of imagined, run, task, iteration, labelled, limit, offset.
        """
        return [dict(record) for record in episodes.gallery.records(**_known(filter or {}))]

    def get_episode(id: str) -> Record:
        """One episode with its frames as data URIs, actions, window probabilities and verdict.

        Args:
            id: as given by list_episodes.
        """
        return dict(episodes.clips.clip(OneEpisode(episode=id)))

    def imagine(
        policy: str,
        world_model: str,
        reward_model: str,
        start_id: int,
        instruction: str,
        seed: int = 0,
        denoising_steps: int = 4,
    ) -> Record:
        """Let a policy act in a world model to the end of the horizon; the stored episode.

        Args:
            policy: id of a policy checkpoint.
            world_model: id of a world model checkpoint.
            reward_model: id of a reward model checkpoint.
            start_id: a shipped start, or any where the simulator works.
            instruction: language command; empty for the task's own.
            seed: the same seed gives the same episode.
            denoising_steps: sampler evaluations per chunk.
        """
        settings = {
            "policy": policy,
            "world_model": world_model,
            "reward_model": reward_model,
            "start_id": start_id,
            "instruction": instruction,
            "seed": seed,
            "denoising_steps": denoising_steps,
        }
        return dict(episodes.gallery.record(ask(dreams.imagine, settings)))

    def next_item(queue: str | None = None, actor: str = "api") -> Record:
        """The next episode to judge, {item}; item is null when nothing is left.

        As on the Label page, a clip of a queue is held for the actor until it is judged or its
        lease runs out; of everything, nothing is held.

        Args:
            queue: its name; everything, unlabelled first, when left out.
            actor: who asks; the same name as in label.
        """
        return {"item": _next_item(episodes, queues, queue, actor)}

    def label(
        episode_id: str,
        outcome: str | None,
        dream_broke: bool | None,
        event_id: str,
        end_step: int | None = None,
        failure_mode: str | None = None,
        note: str = "",
        supersedes: str | None = None,
        actor: str = "api",
        span_first: int | None = None,
        span_last: int | None = None,
    ) -> Record:
        """Judge an episode; safe to send twice.

        Args:
            episode_id: as given by list_episodes or next_item.
            outcome: success, fail, unsure, or nothing.
            dream_broke: whether the world model, not the policy, is to blame; or nothing.
            event_id: a new UUID made by the caller.
            end_step: the first frame that shows the success.
            failure_mode: what went wrong, in a word or two.
            note: anything else.
            supersedes: the event id of the label that this one corrects.
            actor: who judges.
            span_first: the first of the frames that show what matters.
            span_last: the last of them.
        """
        event = {
            "event_id": event_id,
            "episode_id": episode_id,
            "outcome": outcome,
            "dream_broke": dream_broke,
            "end_step": end_step,
            "span_first": span_first,
            "span_last": span_last,
            "failure_mode": failure_mode,
            "note": note,
            "supersedes": supersedes,
            "mode": "api",
        }
        access.spend("labels")
        return episodes.judging.labels.add(event, actor=actor)

    def rm_audit(episode_ids: list[str] | None = None, filter: Record | None = None) -> Record:
        """The reward model's verdicts beside people's: {episodes, summary}.

        Args:
            episode_ids: which episodes; or
            filter: as the Episodes page has it; without both, all that have a label.
        """
        return ask(audit.rm_audit, {"ids": episode_ids, "filter": filter})

    def start_run(job: str, config: Record) -> str:
        """Start a job in a worker process; the id of its run.

        Args:
            job: for example optimise.
            config: the job's options; those left out keep their defaults.
        """
        return training.start(job, config)

    def run_status(run_id: str) -> Record:
        """State, progress and time left of a run.

        Args:
            run_id: as given by start_run.
        """
        return dict(runs.status(run_id))

    def stop_run(run_id: str) -> Record:
        """Ask a run to save its state and end.

        Args:
            run_id: as given by start_run.
        """
        return dict(runs.control(Control(run=run_id, control="stop")))

    for fn in (
        list_checkpoints,
        list_episodes,
        get_episode,
        imagine,
        next_item,
        label,
        rm_audit,
        start_run,
        run_status,
        stop_run,
    ):
        limit = 1 if fn is imagine else 4
        expose(
            in_sentences(guarded(access, f"api.{fn.__name__}", fn)),
            api_name=fn.__name__,
            concurrency_limit=limit,
        )


def _next_item(
    episodes: EpisodesRoom, queues: Queues, queue: str | None, actor: str
) -> Record | None:
    if queue is not None:
        return next(iter(queues.next(NextClips(queue=queue, actor=actor))["items"]), None)
    everything = episodes.gallery.records(order="unlabelled first", limit=1)
    return next((dict(item) for item in everything if item["label"] is None), None)


FILTERS = ("imagined", "run", "task", "iteration", "labelled", "limit", "offset")


def _known(filter: Record) -> Record:
    unknown = sorted(set(filter) - set(FILTERS))
    if unknown:
        raise ValueError(f"no filter {', '.join(unknown)}; there are {', '.join(FILTERS)}")
    return filter
