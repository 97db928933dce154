"""The group wall: what an iteration imagined and learnt, and what if a verdict was wrong."""

from dataclasses import dataclass
from typing import Any

from app.episodes.groups import bounds, by_group, fate_words, group_words
from app.player.clips import Clips
from app.player.records import episode_record
from app.runs.launcher import OneRun
from engine.config import Config, knob
from engine.learning.grpo import regrouped
from storage.cabinet import Cabinet
from storage.episodes.episode_filter import EpisodeFilter

MOST_MEMBERS = 64


@dataclass(frozen=True, kw_only=True)
class Strip(Config):
    """An iteration of a run."""

    run: str = knob(help="its id")
    iteration: int = knob(help="its number", low=0, high=2**31 - 1)


@dataclass(frozen=True, kw_only=True)
class Wholes(Config):
    """Episodes shown as a whole."""

    episodes: tuple[str, ...] = knob(help="their ids", high=MOST_MEMBERS)


@dataclass(frozen=True, kw_only=True)
class Flip(Config):
    """Verdicts of a group the other way."""

    run: str = knob(help="its id")
    iteration: int = knob(help="its number", low=0, high=2**31 - 1)
    group: str = knob(help="its name")
    flipped: tuple[str, ...] = knob(help="episodes whose verdict is turned")


class Siblings:
    """Groups of a run. What a user can get wrong raises a `ValueError` of one sentence."""

    def __init__(self, cabinet: Cabinet, clips: Clips, *, guest: bool) -> None:
        self._cabinet = cabinet
        self._clips = clips
        self._guest = guest

    def strip(self, question: Strip) -> dict[str, list[dict[str, Any]]]:
        """{groups} of an iteration, kept ones first: {group, start_id, kept, reason, members}.

        Raises:
            LookupError: no such run.
        """
        low, high = self._bounds(question.run)
        wanted = EpisodeFilter(
            run=question.run,
            iteration=question.iteration,
            groups=True,
            guest=self._guest,
        )
        rows = self._cabinet.trajectories.episodes(wanted, order="by id", limit=1_024)
        shown = [
            {
                **group_words(members, low=low, high=high),
                "group": name,
                "members": [episode_record(row) for row in members],
            }
            for name, members in by_group(rows).items()
        ]
        return {"groups": sorted(shown, key=lambda group: not group["kept"])}

    def films(self, question: Wholes) -> dict[str, Any]:
        """{id: {film, frames, stride, chunk, end_step, log_ratio, clipped}}.

        `film` is every `stride`-th frame side by side; the arrays have a number for each chunk
        and are None where no update followed.
        """
        return {name: self._clips.whole(name) for name in question.episodes}

    def flip(self, question: Flip) -> dict[str, Any]:
        """A group if some verdicts were the other way.

        {kept, reason, members: {episode: {success, reward, advantage}}}; nothing is stored.
        """
        run_id, flipped = question.run, question.flipped
        if self._cabinet.runs.get(run_id).config.get("shuffle_rewards"):
            raise ValueError(
                "in this run rewards were dealt out at random: verdicts change nothing"
            )
        wanted = EpisodeFilter(
            run=run_id,
            iteration=question.iteration,
            groups=True,
        )
        rows = self._cabinet.trajectories.episodes(wanted, order="by id")
        members = by_group(rows).get(question.group, [])
        strangers = set(flipped) - {row.id for row in members}
        if strangers or not members:
            raise ValueError(f"{', '.join(sorted(strangers)) or 'nobody'} is in this group")
        success = [row.success != (row.id in flipped) for row in members]
        low, high = self._bounds(run_id)
        after = regrouped(success, low=low, high=high)
        return {
            **fate_words(after.fate, sum(success), len(success)),
            "members": {
                row.id: {"success": verdict, "reward": reward, "advantage": round(advantage, 6)}
                for row, verdict, reward, advantage in zip(
                    members, success, after.rewards, after.advantages, strict=True
                )
            },
        }

    def probes(self, question: OneRun) -> dict[str, list[dict[str, Any]]]:
        """{probes}: the same starts at every checkpoint of a run.

        Each is {id, start_id, iteration, success, probability}.

        Raises:
            LookupError: no such run.
        """
        run = self._cabinet.runs.get(question.run)
        return {"probes": self._cabinet.curves.probes(run.id)}

    def _bounds(self, run_id: str) -> tuple[float, float]:
        return bounds(self._cabinet.runs.get(run_id).config)
