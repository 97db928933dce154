"""Alarms over a run's curves: what a person should look at, and by which thresholds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.config import Config, knob

Curve = Sequence[Sequence[float]]  # [x, value, step] in order
FEW = 3  # points whose mean stands for the begin or the end of a curve
ENOUGH_AUDITS = 8


@dataclass(frozen=True, kw_only=True)
class Thresholds(Config):
    """From where on a curve is worth an alarm."""

    gap: float = knob(
        0.15, "Imagined success may rise this much more than real or audited", low=0.0, high=1.0
    )
    entropy: float = knob(
        0.5, "Share of its first value below which the policy has collapsed", low=0.0, high=1.0
    )
    dropped: int = knob(3, "Iterations in a row without a single kept group", low=1)
    drift: float = knob(1.5, "Times its first value at which dreams drift", low=1.0)


def alarms(
    series: Mapping[str, Curve],
    audits: Sequence[Mapping[str, Any]],
    error: str | None,
    thresholds: Thresholds,
) -> list[dict[str, Any]]:
    """{name, step, text} of each alarm that holds now.

    Args:
        series: whole curves by the names that jobs log.
        audits: `storage.runs.curves.Curves.audits`.
        error: what a failed run ended with.
    """
    found = (
        _hacking(series, thresholds.gap),
        _unconfirmed(audits, thresholds.gap),
        _collapse(series.get("rollout/entropy", ()), thresholds.entropy),
        _dropped(series.get("grpo/kept_groups", ()), thresholds.dropped),
        _drift(series.get("rollout/drift", ()), thresholds.drift),
        _not_finite(error),
    )
    return [alarm for alarm in found if alarm is not None]


def _alarm(name: str, step: float | None, text: str) -> dict[str, Any]:
    return {"name": name, "step": None if step is None else int(step), "text": text}


def _mean(points: Curve) -> float:
    return sum(point[1] for point in points) / len(points)


def _hacking(series: Mapping[str, Curve], most: float) -> dict[str, Any] | None:
    """Imagined success rose between the first and the last look at reality; reality did not."""
    imagined, real = series.get("rollout/success_rate", ()), series.get("real/success_rate", ())
    if len(real) < 2:
        return None
    first, last = real[0], real[-1]
    before = [point for point in imagined if point[2] <= first[2]][-FEW:]
    now = [point for point in imagined if point[2] <= last[2]][-FEW:]
    if not before or not now:
        return None
    rise, real_rise = _mean(now) - _mean(before), last[1] - first[1]
    if rise <= 0.0 or rise - real_rise <= most:
        return None
    text = (
        f"Imagined success rises faster than real: {rise:+.2f} imagined, {real_rise:+.2f} real "
        f"since iteration {int(first[2])}"
    )
    return _alarm("reward hacking", last[2], text)


def _unconfirmed(audits: Sequence[Mapping[str, Any]], most: float) -> dict[str, Any] | None:
    judged = sum(audit["judged"] for audit in audits)
    if judged < ENOUGH_AUDITS:
        return None
    claimed = sum(audit["claimed"] for audit in audits) / judged
    succeeded = sum(audit["succeeded"] for audit in audits) / judged
    if claimed - succeeded <= most:
        return None
    text = (
        f"People see fewer successes than the reward model: {succeeded:.2f} of {judged} judged "
        f"clips, not {claimed:.2f}"
    )
    return _alarm("reward hacking", audits[-1]["iteration"], text)


def _collapse(entropy: Curve, share: float) -> dict[str, Any] | None:
    if len(entropy) <= FEW or _mean(entropy[-FEW:]) >= share * _mean(entropy[:FEW]):
        return None
    text = (
        f"The policy's entropy collapsed from {_mean(entropy[:FEW]):.2f} to "
        f"{_mean(entropy[-FEW:]):.2f} nats a token: siblings become alike"
    )
    return _alarm("entropy collapse", entropy[-1][2], text)


def _dropped(kept: Curve, count: int) -> dict[str, Any] | None:
    if len(kept) < count or any(point[1] > 0 for point in kept[-count:]):
        return None
    iterations = "The last iteration" if count == 1 else f"The last {count} iterations"
    return _alarm(
        "all groups dropped", kept[-1][2], f"{iterations} kept no group: nothing is learnt"
    )


def _drift(drift: Curve, times: float) -> dict[str, Any] | None:
    if len(drift) <= FEW or _mean(drift[-FEW:]) <= times * _mean(drift[:FEW]):
        return None
    text = (
        f"Dreams drift further from their first frames: {_mean(drift[:FEW]):.2f} then, "
        f"{_mean(drift[-FEW:]):.2f} now; look whether they still look real"
    )
    return _alarm("drift", drift[-1][2], text)


def _not_finite(error: str | None) -> dict[str, Any] | None:
    words = ("not finite", "is nan", "is inf")
    if error is None or not any(word in error.lower() for word in words):
        return None
    return _alarm("not finite", None, f"A number became infinite or no number at all: {error}")
