"""How often what a run trained or played succeeded, with its interval: one number for a table."""

from collections.abc import Mapping
from typing import Any, TypedDict

from engine.statistics.intervals import wilson_interval

# The better known comes first: played for it, looked at while it trained, imagined.
NAMES = (
    *("evaluate/success_rate", "evaluate/success_low", "evaluate/success_high"),
    *("real/final_success_rate", "real/success_rate"),
    *("rollout/success_rate", "rollout/success_low", "rollout/success_high"),
)


class Success(TypedDict):
    """A share of successes and its 95 % interval; `real` or `imagined`."""

    rate: float
    low: float
    high: float
    kind: str


def success_of(latest: Mapping[str, float], config: Mapping[str, Any]) -> Success | None:
    """The success of a run from the last values of its metrics; None where it has none."""
    dreamt = config.get("environment") == "imagination"
    for noun in ("evaluate",) if dreamt else ("evaluate", "rollout"):  # played to be counted
        rate, low = latest.get(f"{noun}/success_rate"), latest.get(f"{noun}/success_low")
        if rate is not None and low is not None:
            return _found(rate, low, latest.get(f"{noun}/success_high", 1.0), "real")
    for name in ("real/final_success_rate", "real/success_rate"):
        if name in latest:
            return _counted(latest[name], config.get("real_episodes"), "real")
    if "rollout/success_rate" in latest:
        kind = "real" if config.get("environment") == "simulator" else "imagined"
        rows = _whole(config.get("groups")) * _whole(config.get("group_size"))
        return _counted(latest["rollout/success_rate"], rows, kind)
    return None


def _counted(rate: float, total: object, kind: str) -> Success:
    count = _whole(total)
    low, high = wilson_interval(min(count, round(rate * count)), count)
    return _found(rate, low, high, kind)


def _found(rate: float, low: float, high: float, kind: str) -> Success:
    return {"rate": rate, "low": low, "high": high, "kind": kind}


def _whole(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0
