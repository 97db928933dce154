"""Episodes needed and differences seen, against published and simulated numbers."""

import math

import pytest

from engine.seeding import numpy_generator
from engine.statistics.intervals import mcnemar_exact
from engine.statistics.power import paired_detectable, paired_episodes, unpaired_episodes


@pytest.mark.parametrize(
    ("first", "second", "episodes"),
    # By hand: (1.96 sqrt(2 m (1 - m)) + 0.8416 sqrt(p q + r s))^2 / d^2, and field.md §4.5.
    [(0.3, 0.4, 356), (0.2, 0.3, 294), (0.45, 0.55, 392), (0.4, 0.3, 356)],
)
def test_two_independent_arms_need_the_published_number(
    first: float, second: float, episodes: int
) -> None:
    assert unpaired_episodes(first, second) == episodes


@pytest.mark.parametrize(
    # By hand: (1.96 sqrt(q) + 0.8416 sqrt(q - d^2))^2 / d^2, and field.md §4.5.
    ("discordant", "episodes"),
    [(0.2, 155), (0.3, 234), (0.4, 312)],
)
def test_common_starts_need_the_published_number(discordant: float, episodes: int) -> None:
    assert paired_episodes(0.1, discordant) == episodes


def test_the_detectable_difference_is_the_inverse_of_the_episodes() -> None:
    found = paired_detectable(400, 0.3)
    assert paired_episodes(found, 0.3) <= 400 < paired_episodes(found - 1e-4, 0.3)


def test_too_few_starts_show_nothing_however_large() -> None:
    assert math.isinf(paired_detectable(5, 0.3))


def test_the_promised_power_is_what_a_simulation_finds() -> None:
    # Exact McNemar is conservative, so a little below the promised 80 % is right.
    episodes = paired_episodes(0.1, 0.3)
    random = numpy_generator(0, "power")
    both = random.multinomial(episodes, [0.2, 0.1, 0.7], size=1500)
    found = sum(mcnemar_exact(int(a), int(b)) < 0.05 for a, b, _ in both) / len(both)
    assert 0.74 <= found <= 0.83


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: unpaired_episodes(0.3, 0.3), "two different success rates"),
        (lambda: paired_episodes(0.3, 0.2), "cannot differ by 30%"),
        (lambda: paired_detectable(0, 0.2), "must be above 0"),
        (lambda: unpaired_episodes(0.1, 0.2, power=1.0), "must lie between 0 and 1"),
    ],
)
def test_impossible_questions_are_refused(call: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        call()  # type: ignore[operator]
