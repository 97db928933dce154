"""What judgements say together: people among themselves, beside the model, and as samples.

Clips whose dream broke say nothing of the task and are left out, `unsure` is no answer, and what
was judged in review mode, with the model's verdict in sight, is no independent judgement.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from engine.statistics.agreement import Share, cohen_kappa, weighted_share
from storage.judging.queue_orders import Place
from storage.judging.queues import Judgement

ANSWERS = {"fail": 0, "success": 1}


def people(said: Sequence[Judgement]) -> list[dict[str, Any]]:
    """Per person: clips judged, and on calibration clips how often the known answer was given."""
    return [
        {
            "actor": actor,
            "judged": sum(one.actor == actor for one in said),
            "gold": _shown(
                _share(
                    [
                        one.outcome == one.gold
                        for one in said
                        if one.actor == actor and one.gold is not None and one.outcome in ANSWERS
                    ]
                )
            ),
        }
        for actor in sorted({one.actor for one in said})
    ]


def human_human(said: Sequence[Judgement]) -> dict[str, Any]:
    """Cohen's kappa over every two people and every clip that both judged, with an interval."""
    table = np.zeros((2, 2), np.int64)
    for judges in _by_episode(_independent(said)).values():
        for first, second in combinations(sorted(judges, key=lambda one: one.actor), 2):
            table[ANSWERS[str(first.outcome)], ANSWERS[str(second.outcome)]] += 1
    return dataclasses.asdict(cohen_kappa(table))


def human_model(said: Sequence[Judgement]) -> dict[str, Any]:
    """Cohen's kappa of people and the reward model, with an interval."""
    table = np.zeros((2, 2), np.int64)
    for one in _independent(said):
        verdict = model_verdict(one)
        if verdict is not None:
            table[ANSWERS[str(one.outcome)], int(verdict)] += 1
    return dataclasses.asdict(cohen_kappa(table))


def model_verdict(one: Judgement) -> bool | None:
    """What the reward model said, None where it did not: `success` is the simulator's if real."""
    if one.imagined:
        return one.success
    if one.probability is None or one.threshold is None:
        return None
    return one.probability >= one.threshold


def estimates(said: Sequence[Judgement], places: Sequence[Place]) -> dict[str, Any]:
    """What a sampled queue says of the population it was drawn from, with intervals.

    Each judged clip stands for the population of its stratum divided by the judged clips there,
    so that neither the strata's sizes nor an early end bias the shares. `covered` is the share of
    the population whose strata have a judged clip.
    """
    population: dict[str, float] = {}
    for place in places:
        if place.gold is None:
            population[place.stratum] = population.get(place.stratum, 0.0) + place.weight
    answers = {
        episode: judges[-1]
        for episode, judges in _by_episode(_answered(said)).items()
        if judges[-1].gold is None and model_verdict(judges[-1]) is not None
    }
    chosen = list(answers.values())
    judged = [one.stratum or "" for one in chosen]
    weights = np.array([population[stratum] / judged.count(stratum) for stratum in judged])
    human = np.array([one.outcome == "success" for one in chosen], bool)
    model = np.array([model_verdict(one) is True for one in chosen], bool)
    covered = sum(population[stratum] for stratum in set(judged))

    def share(hits: Any, among: Any) -> dict[str, Any]:
        return _shown(weighted_share(hits[among], weights[among]))

    return {
        "success_rate": share(human, np.ones(len(human), bool)),
        "precision": share(human, model),
        "recall": share(model, human),
        "accuracy": share(human == model, np.ones(len(human), bool)),
        "population": sum(population.values()),
        "covered": covered / sum(population.values()),
    }


def _answered(said: Iterable[Judgement]) -> list[Judgement]:
    return [one for one in said if one.outcome in ANSWERS and not one.dream_broke]


def _independent(said: Iterable[Judgement]) -> list[Judgement]:
    return [one for one in _answered(said) if one.mode not in ("review", "adjudicate")]


def _by_episode(said: Iterable[Judgement]) -> dict[str, list[Judgement]]:
    """Judgements of each episode, in the order given (oldest first)."""
    found: dict[str, list[Judgement]] = {}
    for one in said:
        found.setdefault(one.episode_id, []).append(one)
    return found


def _share(hits: Sequence[bool]) -> Share:
    return weighted_share(np.array(hits, bool), np.ones(len(hits)))


def _shown(share: Share) -> dict[str, Any]:
    return dataclasses.asdict(share)
