"""The Data page's use cases: plain values in, errands out; what a public site refuses."""

import base64
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.runs.handover import PART, Handover
from app.studio import Studio
from app.visitors import Role
from app.web.questions import ask
from engine.records.types import Outcome, Trajectory
from storage.exports.formats import read_episodes
from storage.workspace import open_workspace

Make = Callable[..., Trajectory]


@pytest.fixture
def stocked(studio: Studio, make_trajectory: Make) -> Studio:
    """Three episodes: two imagined, one of them judged against the verdict; one real."""
    for number in (1, 2):
        studio.cabinet.trajectories.add(make_trajectory(f"episode-{number}"))
    studio.cabinet.trajectories.add(
        make_trajectory("real-1", imagined=False, outcome=Outcome(False, 16))
    )
    judge(studio, "event-one", "episode-1", "fail")
    judge(studio, "event-two", "real-1", "success", actor="ada")
    return studio


def judge(studio: Studio, name: str, episode: str, outcome: str, actor: str = "local") -> None:
    event = {"event_id": name, "episode_id": episode, "outcome": outcome}
    studio.episodes.judging.labels.add(event, actor=actor)


def compare(studio: Studio, name: str, choice: str) -> None:
    event = {"event_id": name, "left": "episode-1", "right": "episode-2", "choice": choice}
    studio.episodes.judging.pairs.add(event, actor="ann")


def done(studio: Studio, errand: dict[str, Any], state: str = "done") -> dict[str, Any]:
    """The errand when it has ended."""
    pause = threading.Event()
    while True:
        [found] = ask(studio.errands.follow, {"ids": [errand["id"]]})["errands"]
        if found["state"] not in ("queued", "running"):
            assert found["state"] == state, found["error"]
            return found
        pause.wait(0.005)


def content(studio: Studio, what: dict[str, Any]) -> bytes:
    """The file of an errand or a backup, part by part."""
    whole, offset = b"", 0
    while offset is not None:
        part = ask(studio.data.part, {**what, "offset": offset})
        whole, offset = whole + base64.b64decode(part["data"]), part["next"]
    assert len(whole) == part["total"]
    return whole


def sent(studio: Studio, data: bytes) -> str:
    first, second = base64.b64encode(data[:100]).decode(), base64.b64encode(data[100:]).decode()
    upload = ask(studio.data.handover.take, {"data": first})["upload"]
    for _ in range(2):  # the second time is a client that did not hear the answer
        answer = ask(studio.data.handover.take, {"upload": upload, "offset": 100, "data": second})
    assert answer == {"upload": upload, "offset": len(data)}
    return upload


@pytest.mark.parametrize(
    "kind",
    ["wmpo", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("lerobot", "robomimic"))],
)
def test_episodes_travel_to_another_studio(
    stocked: Studio, make_studio: Any, demo: Path, tmp_path: Path, kind: str
) -> None:
    query = {"what": "episodes", "format": kind, "filter": {"kind": "imagined"}}
    planned = ask(stocked.data.exchange.plan, query)
    assert planned["items"] == 2
    assert planned["text"].startswith("2 episodes, about ")
    errand = done(stocked, ask(stocked.data.exchange.export, query))
    data = content(stocked, {"errand": errand["id"]})
    assert (errand["done"], errand["total"], len(data)) == (2, 2, errand["result"]["bytes"])
    assert planned["bytes"] == pytest.approx(len(data), rel=0.01)
    other = Studio(open_workspace(tmp_path / "other"), demo=demo, supervise=False)
    try:
        take = {"upload": sent(other, data), "name": errand["result"]["name"]}
        report = done(other, ask(other.data.exchange.examine, take))["result"]
        assert (report["text"], report["dry_run"]) == ("2 episodes and 1 label", True)
        assert other.cabinet.trajectories.count() == 0
        report = done(other, ask(other.data.exchange.examine, take | {"dry_run": False}))["result"]
        assert (report["added"], report["labels"], report["problems"]) == (2, 1, [])
        assert other.cabinet.trajectories.ids() == ["episode-1", "episode-2"]
        assert ask(other.episodes.clips.clip, {"episode": "episode-2"}) == ask(
            stocked.episodes.clips.clip, {"episode": "episode-2"}
        )
        with pytest.raises(LookupError, match="not here any more"):
            ask(other.data.exchange.examine, take)
    finally:
        other.close()


def test_labels_go_out_and_come_in(stocked: Studio) -> None:
    query = {"what": "labels", "format": "csv"}
    assert ask(stocked.data.exchange.plan, query)["text"].startswith("2 label events, about ")
    errand = done(stocked, ask(stocked.data.exchange.export, query))
    assert errand["result"]["name"].endswith(".csv")
    data = content(stocked, {"errand": errand["id"]})
    report = done(
        stocked,
        ask(stocked.data.exchange.examine, {"upload": sent(stocked, data), "name": "l.csv"}),
    )["result"]
    assert report["text"] == "nothing new; 2 here already"
    bad = sent(stocked, data.replace(b"success", b"maybe", 1))
    query = {"upload": bad, "name": "l.csv", "dry_run": False}
    report = done(stocked, ask(stocked.data.exchange.examine, query))["result"]
    assert report["text"] == "1 problem: nothing is imported"
    assert report["problems"][0].startswith("line 3: outcome must be one of")


def test_preferences_go_out_and_come_in(stocked: Studio) -> None:
    compare(stocked, "event-pair", "left")
    query = {"what": "preferences", "format": "parquet"}
    assert ask(stocked.data.exchange.plan, query)["text"].startswith("1 preference event, about ")
    errand = done(stocked, ask(stocked.data.exchange.export, query))
    name, data = errand["result"]["name"], content(stocked, {"errand": errand["id"]})
    assert name.endswith(".preferences.parquet")
    take = {"upload": sent(stocked, data), "name": name}
    report = done(stocked, ask(stocked.data.exchange.examine, take))["result"]
    assert (report["text"], report["problems"]) == ("nothing new; 1 here already", [])


def test_what_is_wrong_with_a_file_comes_with_its_places(stocked: Studio) -> None:
    query = {"upload": sent(stocked, b"nothing of the kind" * 20), "name": "x.zip"}
    report = done(stocked, ask(stocked.data.exchange.examine, query))["result"]
    assert report["problems"][0].startswith("that is no file of episodes")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"what": "all", "format": "csv"}, "what must be one of episodes, labels, preferences"),
        ({"what": "episodes", "format": "csv"}, "format must be one of lerobot, wmpo, robomimic"),
        ({"what": "labels", "format": "wmpo"}, "format must be one of jsonl, csv"),
        ({"what": "episodes", "format": "wmpo", "view": "mine"}, "view must be one of"),
        ({"what": "episodes", "format": "wmpo", "filter": {"colour": 1}}, "colour is not known"),
        ({"what": "episodes", "format": "wmpo", "filter": {"run": "lost"}}, "no episode fits"),
        ({"what": "episodes", "format": "wmpo", "ids": ["lost"]}, "there is no episode lost"),
        (
            {"what": "episodes", "format": "wmpo", "ids": ["a"], "view": "mine"},
            "choose by one of view, ids",
        ),
    ],
)
def test_a_bad_choice_is_one_sentence(
    stocked: Studio, query: dict[str, Any], sentence: str
) -> None:
    with pytest.raises((ValueError, LookupError), match=sentence):
        ask(stocked.data.exchange.plan, query)


def test_a_saved_view_names_what_is_exported(stocked: Studio) -> None:
    ask(
        stocked.episodes.gallery.save_view,
        {"name": "real ones", "filter": {"kind": "real", "mode": "groups"}},
    )
    query = {"what": "episodes", "format": "robomimic", "view": "real ones"}
    assert ask(stocked.data.exchange.plan, query)["items"] == 1


def test_the_log_is_paged_and_undone_by_actor(stocked: Studio) -> None:
    audit = stocked.data.audit
    found = ask(audit.log, {"limit": 1})
    assert (found["total"], found["events"][0]["event_id"]) == (2, "event-two")
    assert found["actors"][0] == {"name": "ada", "events": 1, "open": 1}
    assert ask(audit.undo, {"actor": "ada", "open": 1}) == {"undone": 1}
    newest = ask(audit.log, {"actor": "local"})["events"][0]
    assert (newest["withdrawal"], newest["supersedes"], newest["mode"]) == (
        True,
        "event-two",
        "audit",
    )


def test_the_judge_is_held_against_people(stocked: Studio) -> None:
    judge(stocked, "event-three", "episode-2", "success")
    found = ask(stocked.data.audit.rm_audit, {"ids": ["episode-1", "episode-2", "real-1"]})
    assert [(e["model"], e["human"], e["agrees"]) for e in found["episodes"]] == [
        ("success", "fail", False),
        ("success", "success", True),
        ("fail", "success", False),
    ]
    assert found["summary"] == {
        "judged": 3,
        "agree": 1,
        "false_positives": 1,
        "false_negatives": 1,
        "dream_broke": 0,
        "without_label": 0,
        "precision": 0.5,
        "recall": 0.5,
    }
    broke = {"event_id": "event-four", "episode_id": "episode-2", "dream_broke": True}
    stocked.episodes.judging.labels.add(broke | {"outcome": "success", "supersedes": "event-three"})
    summary = ask(stocked.data.audit.rm_audit, {"filter": {"kind": "imagined"}})["summary"]
    assert (summary["judged"], summary["dream_broke"], summary["precision"]) == (1, 1, 0.0)
    assert len(ask(stocked.data.audit.rm_audit, {})["episodes"]) == 3
    with pytest.raises(ValueError, match="by ids or by a filter"):
        ask(stocked.data.audit.rm_audit, {"ids": ["episode-1"], "filter": {"kind": "real"}})


@pytest.mark.slow
def test_a_backup_is_made_checked_carried_and_restored(stocked: Studio, tmp_path: Path) -> None:
    keeping = stocked.data.keeping
    made = done(stocked, ask(keeping.back_up, {"checkpoints": False}))["result"]
    [backup] = keeping.backups()
    assert backup["name"] == made["name"]
    checked = done(stocked, ask(keeping.check_backup, {"backup": made["name"]}))["result"]["text"]
    assert checked.startswith("whole and unchanged: 2 label events, 3 episodes")
    upload = sent(stocked, content(stocked, {"backup": made["name"]}))
    taken = done(stocked, ask(keeping.take_backup, {"upload": upload}))["result"]["name"]
    folder = tmp_path / "restored"
    query = {"backup": taken, "folder": str(folder)}
    text = done(stocked, ask(keeping.restore, query))["result"]["text"]
    assert f"Start the studio with WMPO_DATA_DIR={folder}" in text
    assert (folder / "labels.jsonl").is_file()
    assert "is not empty" in done(stocked, ask(keeping.restore, query), "failed")["error"]
    assert [one["name"] for one in ask(keeping.remove_backup, {"backup": taken})["backups"]] == [
        made["name"]
    ]


@pytest.mark.parametrize("folder", ["relative", "{data}", "{data}/inside", "{data}/../data/x"])
def test_no_place_inside_the_studio_is_restored_into(studio: Studio, folder: str) -> None:
    backups = studio.cabinet.workspace.backups
    backups.mkdir()
    (backups / "x.wmpo-backup.tar").touch()
    place = folder.format(data=studio.data_directory)
    with pytest.raises(ValueError, match=r"absolute path|lies inside"):
        ask(studio.data.keeping.restore, {"backup": "x.wmpo-backup.tar", "folder": place})


def test_files_and_database_are_shown_to_agree(stocked: Studio) -> None:
    found = done(stocked, stocked.data.keeping.verify())["result"]
    assert found["equal"]
    assert [(one["kind"], one["database"]) for one in found["kinds"]][:3] == [
        ("labels", 2),
        ("preferences", 0),
        ("episodes", 3),
    ]


def test_labels_and_preferences_are_synced_and_taken_in_again(
    stocked: Studio, demo: Path, tmp_path: Path
) -> None:
    keeping, target = stocked.data.keeping, {"target": str(tmp_path / "shared")}
    none = {"synced": 0, "events": 0}
    assert keeping.sync_status() == {
        "target": "",
        "at": None,
        "logs": {"labels": {"synced": 0, "events": 2}, "preferences": none},
    }
    assert (
        done(stocked, ask(keeping.sync, target))["result"]["text"] == "there: 2 labels, in 1 part"
    )
    compare(stocked, "event-pair", "left")
    text = done(stocked, ask(keeping.sync, target))["result"]["text"]
    assert text == "there: 2 labels and 1 preference, in 2 parts"
    judge(stocked, "event-three", "episode-2", "fail")
    assert keeping.sync_status()["logs"] == {
        "labels": {"synced": 2, "events": 3},
        "preferences": {"synced": 1, "events": 1},
    }
    assert ask(stocked.data.audit.log, {})["logs"] == {"labels": 3, "preferences": 1}
    found = done(stocked, ask(keeping.restore_parts, target))["result"]
    assert (found["text"], found["added"]) == ("nothing new; 3 here already", 0)
    with pytest.raises(ValueError, match="say where"):
        ask(keeping.sync, {"target": " "})

    other = Studio(open_workspace(tmp_path / "other"), demo=demo, supervise=False)
    try:
        for dry_run in (True, False):  # a look, and then the import
            assert other.cabinet.preferences.events() == []
            query = target | {"dry_run": dry_run}
            found = done(other, ask(other.data.keeping.restore_parts, query))["result"]
            assert found["text"] == "2 labels and 1 preference"
            assert (found["added"], found["problems"], found["dry_run"]) == (3, [], dry_run)
        assert other.cabinet.preferences.events() == stocked.cabinet.preferences.events()
        assert other.cabinet.labels.log.size == 2
    finally:
        other.close()


def test_space_is_shown_and_only_leftovers_go(stocked: Studio) -> None:
    found = stocked.data.keeping.space()
    assert {"episodes", "label log", "database"} <= {one["kind"] for one in found["kinds"]}
    assert found["leftovers"] == []
    assert found["place"] == str(stocked.data_directory)
    assert ask(stocked.data.keeping.clean_up, {"kinds": ["episodes"]})["freed"] == 0
    assert ask(stocked.episodes.clips.clip, {"episode": "episode-1"})["id"] == "episode-1"


def test_a_public_studio_shows_no_path_and_changes_nothing(
    make_studio: Callable[..., Studio], make_trajectory: Make, workspace: Any
) -> None:
    home = make_studio()
    for number in range(9):
        home.cabinet.trajectories.add(make_trajectory(f"episode-{number}"))
    judge(home, "event-home", "episode-1", "fail")
    public = make_studio(role=Role.VISITOR)
    judge(public, "event-guest", "episode-1", "success", actor="eve")
    data = public.data
    assert str(workspace.root) not in str(data.keeping.space())
    assert [event["actor"] for event in ask(data.audit.log, {})["events"]] == ["guest:eve"]
    [audited] = ask(data.audit.rm_audit, {})["episodes"]
    assert audited["human"] == "success"
    assert data.keeping.backups() == ask(data.errands.follow, {})["errands"] == []
    with pytest.raises(ValueError, match="more than 8 episodes"):
        ask(data.exchange.plan, {"what": "episodes", "format": "wmpo"})
    with pytest.raises(ValueError, match="keeps its data to itself"):
        ask(data.part, {"backup": "x.wmpo-backup.tar", "offset": 0})
    query = {"what": "episodes", "format": "wmpo", "ids": ["episode-1"]}
    errand = done(public, ask(data.exchange.export, query))
    path = public.cabinet.workspace.root / "handed.tar"
    path.write_bytes(content(public, {"errand": errand["id"]}))
    [item] = read_episodes(path).episodes
    assert [event.label.actor for event in item.events] == ["guest:eve"]


def test_parts_of_a_file_come_in_order_or_not_at_all(tmp_path: Path) -> None:
    handover = Handover(tmp_path)
    upload = ask(handover.take, {"data": base64.b64encode(b"abc").decode()})["upload"]
    with pytest.raises(ValueError, match="another order"):
        ask(handover.take, {"upload": upload, "offset": 7, "data": ""})
    with pytest.raises(ValueError, match="did not arrive whole"):
        ask(handover.take, {"upload": upload, "offset": 3, "data": "?"})
    for stranger in ("../labels.jsonl", None, 3):
        with pytest.raises(LookupError, match="not here any more"):
            handover.uploaded(stranger)
    big = tmp_path / "big"
    big.write_bytes(b"x" * (PART + 5))
    assert handover.part(big, 0)["next"] == PART
    last = handover.part(big, PART)
    assert (base64.b64decode(last["data"]), last["next"], last["total"]) == (
        b"x" * 5,
        None,
        PART + 5,
    )
    handover.drop(upload)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big"]


def test_no_jump_of_the_clock_takes_a_file_away(tmp_path: Path) -> None:
    now = [0.0]
    handover = Handover(tmp_path, hours=1.0, clock=lambda: now[0])
    made = handover.place("labels.csv")
    made.write_text("here")
    os.utime(made, (0, 0))  # a clock that was set: the file is decades old
    handover.place("other.csv")
    assert made.exists()
    now[0] += 3_601.0
    handover.place("another.csv")
    assert not made.exists()
