"""The group wall: what an iteration imagined and learnt, and what if a verdict was wrong."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from app.checks import check_integer, check_names
from app.clips import Clips, episode_record, fate_words, group_words
from storage.cabinet import Cabinet
from storage.episode_filter import EpisodeFilter
from storage.trajectories import EpisodeRow

MOST_MEMBERS = 64


class Siblings:
    """Groups of a run. What a user can get wrong raises a `ValueError` of one sentence."""

    def __init__(self, cabinet: Cabinet, clips: Clips, *, public: bool) -> None:
        self._cabinet = cabinet
        self._clips = clips
        self._public = public

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
            guest=self._public,
        )
        groups: dict[str, list[EpisodeRow]] = {}
        for row in self._cabinet.trajectories.episodes(wanted, order="by id", limit=1_024):
            groups.setdefault(str(row.group_name), []).append(row)
        shown = [
            {
                **group_words(members, low=low, high=high),
                "group": name,
                "members": [episode_record(row) for row in _in_order(members)],
            }
            for name, members in sorted(groups.items())
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
        members = _in_order([row for row in rows if row.group_name == str(values["group"])])
        strangers = set(map(str, flipped)) - {row.id for row in members}
        if strangers or not members:
            raise ValueError(f"{', '.join(sorted(strangers)) or 'nobody'} is in this group")
        success = [row.success != (row.id in flipped) for row in members]
        return regrouped(members, success, *self._bounds(run_id))

    def probes(self, run_id: str) -> list[dict[str, Any]]:
        """The same starts at every checkpoint: {id, start_id, iteration, success, probability}.

        Raises:
            LookupError: no such run.
        """
        self._cabinet.runs.get(run_id)
        return self._cabinet.curves.probes(run_id)

    def _bounds(self, run_id: str) -> tuple[float, float]:
        config = self._cabinet.runs.get(run_id).config
        return config.get("keep_low", 0.1), config.get("keep_high", 0.9)


def regrouped(
    members: Sequence[EpisodeRow], success: Sequence[bool], low: float, high: float
) -> dict[str, Any]:
    """A group as `optimise` would have treated it with these verdicts."""
    torch, grpo = import_module("torch"), import_module("engine.grpo")
    verdicts = torch.tensor(success)
    keys = ["group"] * len(success)
    returns = grpo.success_returns(verdicts)
    advantages = grpo.group_advantages(returns, keys).tolist()
    fate: str = grpo.group_fates(verdicts, keys, low=low, high=high)["group"]
    return {
        **fate_words(fate, sum(success), len(success)),
        "members": {
            row.id: {"success": verdict, "reward": reward, "advantage": round(advantage, 6)}
            for row, verdict, reward, advantage in zip(
                members, success, returns.tolist(), advantages, strict=True
            )
        },
    }


def _in_order(members: Sequence[EpisodeRow]) -> list[EpisodeRow]:
    return sorted(members, key=lambda row: (row.member or 0, row.id))
