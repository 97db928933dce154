"""Queues: shared by people without doubled work, and back after the database is lost."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from engine.records.types import Label, Trajectory
from storage.cabinet import Cabinet, open_cabinet
from storage.database import Database
from storage.episodes.episode_filter import EpisodeFilter
from storage.judging.queue_orders import Place
from storage.judging.queues import LEASE_SECONDS, QueueStore
from storage.workspace import Workspace

CLIPS = [f"clip-{number}" for number in range(6)]


@dataclass
class Judges:
    """A queue over six clips, people who judge, and a clock that the test turns."""

    cabinet: Cabinet
    queues: QueueStore
    now: list[float]
    count: int = field(default=0)

    def say(self, actor: str, clip: str, outcome: str | None = "success", **more: object) -> str:
        self.count += 1
        values: dict[str, object] = {"event_id": f"event-{self.count:04d}", "episode_id": clip}
        label = Label(**values | {"outcome": outcome, "actor": actor, "mode": "blind"} | more)
        return self.cabinet.labels.add(label).event_id


@pytest.fixture
def judges(cabinet: Cabinet, make_trajectory: Callable[..., Trajectory]) -> Judges:
    for clip in CLIPS:
        cabinet.trajectories.add(make_trajectory(clip))
    now = [1_000.0]
    queues = QueueStore(cabinet.database, cabinet.workspace.queues, clock=lambda: now[0])
    queues.add("q", [Place(episode_id=clip) for clip in CLIPS], query={"order": "x"}, overlap=1)
    return Judges(cabinet, queues, now)


def test_clips_come_in_the_order_of_the_queue_and_once_each(judges: Judges) -> None:
    assert judges.queues.lease("q", "ann", 2) == CLIPS[:2]
    judges.say("ann", CLIPS[0])
    assert judges.queues.lease("q", "ann", 9) == CLIPS[1:]


def test_candidates_carry_what_people_said_and_read_no_lineage(
    judges: Judges, make_trajectory: Callable[..., Trajectory]
) -> None:
    judges.say("ann", CLIPS[1], "fail", failure_mode="slip")
    judges.cabinet.database.write(
        lambda cursor: cursor.rows("update episodes set lineage = 'no JSON', instruction = ''")
    )
    found = {row.id: row for row in judges.queues.candidates(EpisodeFilter())}
    assert list(found) == CLIPS
    assert (found[CLIPS[1]].outcome, found[CLIPS[1]].failure_mode) == ("fail", "slip")
    assert (found[CLIPS[0]].outcome, found[CLIPS[0]].failure_mode) == (None, None)
    assert found[CLIPS[0]].success == make_trajectory().outcome.success
    assert judges.queues.candidates(EpisodeFilter(label="fail")) == [found[CLIPS[1]]]


def test_a_clip_that_one_holds_is_not_given_to_another(judges: Judges) -> None:
    judges.queues.lease("q", "ann", 2)
    assert judges.queues.lease("q", "ben", 9) == CLIPS[2:]
    assert judges.queues.lease("q", "ann", 9) == CLIPS[:2]


def test_a_clock_that_is_set_back_a_day_locks_no_clip(judges: Judges) -> None:
    judges.queues.lease("q", "ann", 6)
    judges.now[0] -= 86_400.0
    assert judges.queues.lease("q", "ben", 2) == CLIPS[:2]


def test_a_lease_ends_unless_it_is_asked_for_again(judges: Judges) -> None:
    judges.queues.lease("q", "ann", 2)
    judges.now[0] += LEASE_SECONDS - 1
    judges.queues.lease("q", "ann", 1)
    judges.now[0] += 2
    assert judges.queues.lease("q", "ben", 1) == [CLIPS[1]]


def test_what_is_given_back_goes_to_others_at_once(judges: Judges) -> None:
    judges.queues.lease("q", "ann", 2)
    judges.queues.release("q", "ann")
    assert judges.queues.lease("q", "ben", 1) == [CLIPS[0]]


def test_as_many_people_as_the_overlap_get_a_clip(judges: Judges) -> None:
    places = [Place(episode_id=CLIPS[0])]
    judges.queues.add("pairs", places, query={}, overlap=2)
    assert judges.queues.lease("pairs", "ann", 1) == CLIPS[:1]
    judges.say("ann", CLIPS[0])
    assert judges.queues.lease("pairs", "ben", 1) == CLIPS[:1]
    assert judges.queues.lease("pairs", "cat", 1) == []
    judges.now[0] += LEASE_SECONDS + 1
    assert judges.queues.lease("pairs", "cat", 1) == CLIPS[:1]


def test_a_label_taken_back_brings_the_clip_back(judges: Judges) -> None:
    said = judges.say("ann", CLIPS[0])
    judges.cabinet.labels.withdraw(said, new_event_id="undo-0001", actor="ann")
    assert judges.queues.lease("q", "ann", 1) == [CLIPS[0]]


def test_labels_from_before_the_queue_do_not_count(judges: Judges) -> None:
    judges.say("ann", CLIPS[0])
    judges.queues.add("later", [Place(episode_id=CLIPS[0])], query={}, overlap=1)
    assert judges.queues.lease("later", "ann", 1) == [CLIPS[0]]


def test_every_person_gets_every_clip_of_known_answer(judges: Judges) -> None:
    places = [Place(episode_id=CLIPS[0], gold="fail"), Place(episode_id=CLIPS[1])]
    judges.queues.add("gold", places, query={}, overlap=1)
    assert judges.queues.lease("gold", "ann", 9) == CLIPS[:2]
    assert judges.queues.lease("gold", "ben", 9) == CLIPS[:1]


def test_guests_and_the_house_do_not_take_clips_from_each_other(judges: Judges) -> None:
    judges.say("guest:ann", CLIPS[0])
    judges.queues.lease("q", "guest:ben", 2)
    assert judges.queues.lease("q", "ann", 2) == CLIPS[:2]


def test_disagreement_is_a_conflict_until_a_third_decides(judges: Judges) -> None:
    judges.queues.add("pairs", [Place(episode_id=c) for c in CLIPS], query={}, overlap=2)
    judges.say("ann", CLIPS[0], "fail")
    second = judges.say("ben", CLIPS[0], "success")
    judges.say("ann", CLIPS[1])
    judges.say("ben", CLIPS[1])
    assert judges.queues.lease("pairs", "cat", 9, adjudicate=True) == [CLIPS[0]]
    assert judges.queues.lease("pairs", "dan", 9, adjudicate=True) == []
    judges.say("cat", CLIPS[0], "fail", mode="adjudicate", supersedes=second)
    assert judges.queues.conflicts("pairs") == []
    current = judges.cabinet.labels.current(CLIPS[0])
    assert current is not None and (current.actor, current.outcome) == ("cat", "fail")
    said = {(one.actor, one.outcome) for one in judges.queues.judgements("pairs")}
    assert {("ann", "fail"), ("ben", "success"), ("cat", "fail")} <= said


def test_progress_counts_clips_that_enough_people_judged(judges: Judges) -> None:
    judges.queues.add("pairs", [Place(episode_id=c) for c in CLIPS], query={}, overlap=2)
    judges.say("ann", CLIPS[0])
    judges.say("ben", CLIPS[0])
    judges.say("ann", CLIPS[1])
    judges.say("guest:eve", CLIPS[1])
    progress = {queue.name: (queue.done, queue.total) for queue in judges.queues.all()}
    assert progress == {"q": (2, 6), "pairs": (1, 6)}


def test_people_who_ask_at_once_never_share_a_clip(judges: Judges) -> None:
    given: Counter[str] = Counter()
    start = threading.Barrier(8)

    def ask(actor: str) -> None:
        start.wait()
        given.update(judges.queues.lease("q", actor, 2))

    threads = [threading.Thread(target=ask, args=(f"person {n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert given == Counter(CLIPS)


def test_queues_come_back_after_the_database_is_lost(
    judges: Judges, workspace: Workspace, tmp_path: Path
) -> None:
    weighted = [Place(episode_id=CLIPS[3], stratum="s", weight=2.5)]
    judges.queues.add("sample", weighted, query={"order": "stratified"}, overlap=3)
    judges.say("ann", CLIPS[3])
    before = judges.queues.all()
    other = Database(None, exports=workspace.exports)
    rebuilt = open_cabinet(workspace, demo=tmp_path / "demo", database=other)
    assert rebuilt.queues.all() == before
    assert rebuilt.queues.places("sample") == weighted
    rebuilt.close()


def test_a_removed_queue_stays_removed(judges: Judges, workspace: Workspace) -> None:
    judges.queues.remove("q")
    assert QueueStore(judges.cabinet.database, workspace.queues).all() == []
    with pytest.raises(ValueError, match="there is no queue 'q'"):
        judges.queues.lease("q", "ann", 1)


def test_a_name_is_taken_once(judges: Judges) -> None:
    with pytest.raises(ValueError, match="there is a queue 'q' already"):
        judges.queues.add("q", [], query={}, overlap=1)


def test_a_label_of_samples_weighs_one_over_its_chance_to_be_in_any(judges: Judges) -> None:
    def sample(name: str, order: str, places: list[tuple[str, str, float]]) -> None:
        drawn = [Place(episode_id=CLIPS[int(c)], stratum=s, weight=w) for c, s, w in places]
        judges.queues.add(name, drawn, query={"order": order}, overlap=1)

    # Of stratum a two of eight were drawn, of b one of one; then two of four of all.
    sample("first", "stratified", [("0", "a", 4.0), ("1", "a", 4.0), ("2", "b", 1.0)])
    sample("second", "random", [("0", "all", 2.0), ("3", "all", 2.0)])
    sample("hardest", "uncertainty", [("4", "", 1.0)])
    assert judges.queues.weights(CLIPS) == {}
    for number in (0, 1, 2, 4):
        judges.say("ann", CLIPS[number])
    judges.say("ann", CLIPS[3], "unsure")
    weights = judges.queues.weights(CLIPS)
    # Clip 0: two of eight answered, or one of four: 1 / (1 - 3/4 · 3/4).
    assert weights == pytest.approx({CLIPS[0]: 16 / 7, CLIPS[1]: 4.0, CLIPS[2]: 1.0, CLIPS[3]: 4.0})
    assert judges.queues.weights(CLIPS[:1]).keys() == {CLIPS[0]}
    assert judges.queues.weights(CLIPS, guest=True) == {}
