"""Labels as Label Studio's JSON: a task is an episode, an annotation is a label.

Label Studio keeps a task's `meta` and the ids of results, so what comes back from it is exact, and
annotations that were made there are new labels. An annotation of ours that was changed there is
refused: labels are immutable.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

EVENTS = "wmpo_events"  # in a task's `meta`: its events, whole
# What a project needs to show the tasks.
LABELING_CONFIG = """<View>
  <Text name="episode" value="$episode"/>
  <Choices name="outcome" toName="episode" choice="single">
    <Choice value="success"/><Choice value="fail"/><Choice value="unsure"/>
  </Choices>
  <Choices name="dream" toName="episode" choice="single">
    <Choice value="broke"/><Choice value="ok"/>
  </Choices>
  <TextArea name="failure_mode" toName="episode" maxSubmissions="1"/>
  <TextArea name="note" toName="episode" maxSubmissions="1"/>
</View>"""
CHOICES, TEXTS = ("outcome", "dream"), ("failure_mode", "note")
DREAM = {True: "broke", False: "ok"}


def to_label_studio(rows: list[dict[str, Any]]) -> bytes:
    """Tasks in the order of their first event."""
    tasks: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        tasks.setdefault(row["episode_id"], []).append(row)
    return json.dumps(
        [
            {
                "data": {"episode": episode},
                "meta": {EVENTS: events},
                "annotations": [{"result": found} for event in events if (found := _result(event))],
            }
            for episode, events in tasks.items()
        ],
        ensure_ascii=False,
    ).encode()


def from_label_studio(data: bytes) -> Iterator[tuple[str, Any]]:
    """(place, plain values of an event, or the `ValueError` that says what is wrong).

    Events of ours come in the order of their places in the log, whichever task they are in.
    """
    tasks = json.loads(data)
    if not isinstance(tasks, list):
        raise ValueError("it must be a list of tasks")
    kept, made = [], []
    for number, task in enumerate(tasks, start=1):
        place = f"task {number}"
        try:
            events = (task.get("meta") or {}).get(EVENTS, [])
            known = {event["event_id"]: event for event in events}
            kept += [(f"{place}, event {at}", event) for at, event in enumerate(events, start=1)]
            for at, annotation in enumerate(task.get("annotations", []), start=1):
                where = f"{place}, annotation {at}"
                made += [(where, found) for found in _new(annotation, known, task["data"])]
        except (AttributeError, KeyError, TypeError, IndexError) as error:
            made.append((place, ValueError(f"{error} is not as Label Studio writes it")))
    kept.sort(key=lambda item: item[1]["seq"] if type(item[1].get("seq")) is int else 0)
    yield from [*kept, *made]


def _result(event: Mapping[str, Any]) -> list[dict[str, Any]]:
    said = {"outcome": event["outcome"], "dream": DREAM.get(event["dream_broke"])}
    said |= {"failure_mode": event["failure_mode"], "note": event["note"]}
    return [
        {
            "id": f"{event['event_id']}.{name}",
            "from_name": name,
            "to_name": "episode",
            "type": "choices" if name in CHOICES else "textarea",
            "value": {"choices" if name in CHOICES else "text": [value]},
        }
        for name, value in said.items()
        if value
    ]


def _new(
    annotation: Mapping[str, Any], known: Mapping[str, Any], data: Mapping[str, Any]
) -> list[Any]:
    """The label of an annotation made in Label Studio; nothing for one of ours."""
    results = annotation["result"]
    ours = {result["id"].rpartition(".")[0] for result in results} & set(known)
    if ours:
        event = known[ours.pop()]
        if _said(results) == _said(_result(event)):
            return []
        changed = f"label {event['event_id']} was changed, but labels are immutable: add another"
        return [ValueError(changed)]
    said = _said(results)
    if not said:
        return []
    at = datetime.fromisoformat(annotation["created_at"]).timestamp()
    lead = annotation.get("lead_time")
    return [
        {
            "event_id": f"label-studio-{annotation['id']}",
            "episode_id": data["episode"],
            "outcome": said.get("outcome"),
            "dream_broke": said["dream"] == "broke" if "dream" in said else None,
            "end_step": None,
            "failure_mode": said.get("failure_mode"),
            "note": said.get("note", ""),
            "mode": "label-studio",
            "model_probability": None,
            "threshold": None,
            "checkpoint": None,
            "actor": "label-studio",
            "latency_ms": None if lead is None else round(1000 * lead),
            "supersedes": None,
            "seq": 0,
            "at": at,
            "hash": "",
        }
    ]


def _said(results: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    key = {**dict.fromkeys(CHOICES, "choices"), **dict.fromkeys(TEXTS, "text")}
    return {r["from_name"]: r["value"][key[r["from_name"]]][0] for r in results}
