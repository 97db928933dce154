"""The group wall: what an iteration imagined and learnt, and what if a verdict was wrong."""

from typing import Any

from app.episodes.groups import bounds, by_group, fate_words, group_words
from app.player.clips import Clips, episode_record
from app.web.checks import check_integer, check_names
from engine.learning.grpo import regrouped
from storage.cabinet import Cabinet
from storage.episodes.episode_filter import EpisodeFilter

MOST_MEMBERS = 64


class Siblings:
    """Groups of a run. What a user can get wrong raises a `ValueError` of one sentence."""

    def __init__(self, cabinet: Cabinet, clips: Clips, *, guest: bool) -> None:
        self._cabinet = cabinet
        self._clips = clips
        self._guest = guest

    def strip(self, run_id: str, iteration: object) -> list[dict[str, Any]]:
        """The groups of an iteration, kept ones first: {group, start_id, kept, reason, members}.

        Raises:
            LookupError: no such run.
        """
        low, high = self._bounds(run_id)
        wanted = EpisodeFilter(
            run=run_id,
            iteration=check_integer("iteration", iteration, 0, 2**31 - 1),
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
        return sorted(shown, key=lambda group: not group["kept"])

    def films(self, question: object) -> dict[str, Any]:
        """{episodes} -> {id: {film, frames, stride, chunk, end_step, log_ratio, clipped}}.

        `film` is every `stride`-th frame side by side; the arrays have a number for each chunk
        and are None where no update followed.
        """
        named = check_names(question, allowed=("episodes",), required=("episodes",))["episodes"]
        if not isinstance(named, list) or len(named) > MOST_MEMBERS:
            raise ValueError(f"episodes must be a list of at most {MOST_MEMBERS} ids")
        return {str(name): self._clips.whole(str(name)) for name in named}

    def flip(self, question: object) -> dict[str, Any]:
        """{run, iteration, group, flipped} -> the group if some verdicts were the other way.

        {kept, reason, members: {episode: {success, reward, advantage}}}; nothing is stored.
        """
        names = ("run", "iteration", "group", "flipped")
        values = check_names(question, allowed=names, required=names)
        run_id, flipped = str(values["run"]), values["flipped"]
        if not isinstance(flipped, list):
            raise ValueError("flipped must be a list of episode ids")
        if self._cabinet.runs.get(run_id).config.get("shuffle_rewards"):
            raise ValueError(
                "in this run rewards were dealt out at random: verdicts change nothing"
            )
        wanted = EpisodeFilter(
            run=run_id,
            iteration=check_integer("iteration", values["iteration"], 0, 2**31 - 1),
            groups=True,
        )
        rows = self._cabinet.trajectories.episodes(wanted, order="by id")
        members = by_group(rows).get(str(values["group"]), [])
        strangers = set(map(str, flipped)) - {row.id for row in members}
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

    def probes(self, run_id: str) -> list[dict[str, Any]]:
        """The same starts at every checkpoint: {id, start_id, iteration, success, probability}.

        Raises:
            LookupError: no such run.
        """
        self._cabinet.runs.get(run_id)
        return self._cabinet.curves.probes(run_id)

    def _bounds(self, run_id: str) -> tuple[float, float]:
        return bounds(self._cabinet.runs.get(run_id).config)
