"""A world model behind HTTP: the dreams of the model itself, and clients who harm nobody."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import torch
import uvicorn

from engine.__main__ import main
from engine.data.starts import load_starts
from engine.dream.imagine import group_starts, imagine
from engine.loading.models import load_policy, load_reward_model, load_world_model
from engine.protocols import WorldModel
from engine.records.tasks import get_task
from engine.records.types import DreamContext
from engine.seeding import generator, initialisation
from engine.served.client import ServedWorldModel
from engine.served.messages import pack
from engine.serving.server import serve_world_model
from engine.serving.sessions import IDLE, GoneError, Sessions
from engine.world_model.model import LatentWorldModel, WorldModelConfig
from tests.fakes import AddingWorldModel

DEMO = Path("storage/demo")
WORLD = DEMO / "checkpoints" / "coffee-push-world"


@contextmanager
def served(model: WorldModel, **limits: Any) -> Iterator[str]:
    """The address of a real server in a thread."""
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        config = uvicorn.Config(serve_world_model(model, **limits), log_level="warning")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [line]}, daemon=True)
        thread.start()
        pause = threading.Event()
        while not server.started:
            pause.wait(0.01)
        try:
            yield f"http://127.0.0.1:{line.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


def dreams(world_model: WorldModel) -> list[dict[str, np.ndarray]]:
    """Two chunks from two starts, by the shipped policy and judge."""
    starts, task = load_starts(DEMO / "starts" / "coffee-push.npz"), get_task("coffee-push")
    frames, rows = group_starts(
        torch.from_numpy(starts.frames[:2]), [int(i) for i in starts.start_ids[:2]], 2
    )
    rollouts = imagine(
        world_model,
        load_policy(DEMO / "checkpoints" / "coffee-push-base"),
        load_reward_model(DEMO / "checkpoints" / "coffee-push-reward"),
        frames,
        [task.instruction] * len(rows),
        rows=rows,
        horizon=16,
        seed=7,
        temperature=1.0,
        denoising_steps=2,
        rules=task.judge,
    )
    names = ("frames", "tokens", "latents", "log_probs", "window_probabilities")
    return [{name: getattr(each, name).numpy() for name in names} for each in rollouts]


@pytest.mark.slow
@pytest.mark.parametrize("remembers", [False, True], ids=["published", "remembers"])
def test_dreams_in_a_served_world_model_are_those_in_the_model_itself(remembers: bool) -> None:
    """The shipped one foresees states and remembers; one of the published kind does not."""
    with initialisation(0, "world model"):
        published = LatentWorldModel(WorldModelConfig()).eval()
    model = load_world_model(WORLD) if remembers else published
    with served(model) as address, closing(ServedWorldModel(address)) as client:
        assert isinstance(client, WorldModel)
        found, expected = dreams(client), dreams(model)
        context = DreamContext(anchored=True, noise=50.0)
        with closing(client.with_context(context)) as other:
            anchored, expected_too = dreams(other), dreams(model.with_context(context))
    for ours, theirs in zip(found + anchored, expected + expected_too, strict=True):
        for name, array in theirs.items():
            np.testing.assert_array_equal(ours[name], array, err_msg=name)


def test_a_token_is_asked_for() -> None:
    with served(AddingWorldModel(), token="a secret") as address:
        with pytest.raises(ValueError, match="asks for a token"):
            ServedWorldModel(address)
        with pytest.raises(ValueError, match="asks for a token"):
            ServedWorldModel(address, token="another")
        ServedWorldModel(address, token="a secret").close()


class Counting(AddingWorldModel):
    """Counts its steps."""

    steps = 0

    def predict(self, *given: Any, **more: Any) -> torch.Tensor:
        self.steps += len(given[0])
        return super().predict(*given, **more)

    def with_context(self, context: DreamContext, micro_batch: int = 0) -> "Counting":
        return self


def question(model: WorldModel, **changes: Any) -> dict[str, Any]:
    """A right step from `a` to `b`."""
    actions = torch.zeros(1, model.chunk_size, model.action_dim)
    right = {"states": ["a"], "to": ["b"], "actions": pack(actions), "seeds": [1]}
    return right | {"denoising_steps": 1} | changes


def begin(line: httpx2.Client) -> str:
    """A session with a state `a`; its path."""
    session = line.post("/v1/sessions", json={}).json()["session"]
    frames = pack(torch.full((1, 4, 4, 3), 100, dtype=torch.uint8))
    path = f"/v1/sessions/{session}"
    said = {"states": ["a"], "frames": frames, "seeds": [0]}
    assert line.post(f"{path}/open", json=said).status_code == 200
    return path


def test_a_step_asked_twice_is_done_once_and_told_twice() -> None:
    model = Counting(noise=0.1)
    with served(model) as address, httpx2.Client(base_url=address, trust_env=False) as line:
        path = begin(line)
        first = line.post(f"{path}/step", json=question(model)).json()
        assert line.post(f"{path}/step", json=question(model)).json() == first
        assert model.steps == 1
        line.post(f"{path}/step", json=question(model, to=["c"], seeds=[2])).json()
        assert model.steps == 2


@pytest.mark.parametrize(
    ("changes", "status", "sentence"),
    [
        ({"states": ["z"]}, 410, "there is no state z"),
        ({"states": []}, 400, "states must be one or more names"),
        ({"to": ["a"]}, 400, "needs a name of its own"),
        ({"to": ["x" * 65]}, 400, "names of up to 64 characters"),
        ({"seeds": [-1]}, 400, "seeds must be whole numbers"),
        ({"seeds": [True]}, 400, "seeds must be whole numbers"),
        ({"denoising_steps": 0}, 400, "from 1 to 1000"),
        ({"actions": pack(torch.zeros(1, 1, 4))}, 400, "actions must have the shape"),
        ({"actions": pack(torch.zeros(1, 2, 1).double())}, 400, "must be an array of float32"),
        ({"actions": {"dtype": "float32", "shape": [1, 2, 4], "data": "!"}}, 400, ""),
        ({"actions": None}, 400, "must be an array of float32"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(
    changes: dict[str, Any], status: int, sentence: str
) -> None:
    model = AddingWorldModel()
    with served(model) as address, httpx2.Client(base_url=address, trust_env=False) as line:
        path = begin(line)
        answer = line.post(f"{path}/step", json=question(model, **changes))
        assert answer.status_code == status
        assert sentence in answer.json()["error"]
        assert line.post(f"{path}/step", json=question(model)).status_code == 200


def test_a_client_that_stalls_dies_or_sends_too_much_harms_nobody() -> None:
    model = AddingWorldModel()
    with (
        served(model, largest=2**16) as address,
        httpx2.Client(base_url=address, trust_env=False) as line,
    ):
        path, host = begin(line), address.removeprefix("http://")
        name, port = host.split(":")
        head = f"POST {path}/step HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5000\r\n\r\n{{"
        with socket.create_connection((name, int(port))) as stalled:
            stalled.sendall(head.encode())
            assert line.post(f"{path}/step", json=question(model)).status_code == 200
        big = line.post(f"{path}/step", content=b"x" * 2**17)
        assert (big.status_code, "may have" in big.json()["error"]) == (413, True)
        for body in (b"", b"[1]", b"{", b'"a"'):
            assert line.post(f"{path}/step", content=body).status_code == 400
        assert line.post("/v1/sessions/none/step", json=question(model)).status_code == 404
        assert line.delete(path).status_code == 200
        assert line.post(f"{path}/step", json=question(model)).status_code == 404
    with pytest.raises(ValueError, match="does not answer"):
        ServedWorldModel(address, pause=0.001)


def test_a_client_whose_session_was_closed_begins_another_with_its_next_dream() -> None:
    model = AddingWorldModel()
    with served(model) as address, closing(ServedWorldModel(address)) as client:
        frames = torch.zeros(1, 3, 4, 4)
        latents = client.encode(frames, [generator(0, "start")])
        with httpx2.Client(base_url=address, trust_env=False) as line:
            assert line.delete(f"/v1/sessions/{client._session}").status_code == 200
        actions, noise = torch.zeros(1, model.chunk_size, model.action_dim), [generator(0, "noise")]
        context = latents[:, None].repeat(1, client.context_frames, 1, 1, 1)
        with pytest.raises(ValueError, match="there is no such session"):
            client.predict(context, actions, noise, 1, client.begin(latents))
        assert torch.equal(client.encode(frames, [generator(0, "start")]), latents)
        client.predict(context, actions, noise, 1, client.begin(latents))


def test_sessions_that_nobody_asks_are_closed() -> None:
    now = [0.0]
    sessions = Sessions(AddingWorldModel(), clock=lambda: now[0])
    first = sessions.begin({})["session"]
    now[0] = IDLE + 1
    sessions.begin({})
    with pytest.raises(GoneError, match="idle for too long"):
        sessions.decode(first, {"latents": pack(torch.zeros(1, *AddingWorldModel().latent_shape))})


def test_a_checkpoint_that_cannot_be_served_is_told_in_a_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve_world_model", "nowhere"])
    assert ended.value.code == 2
    assert "there is no checkpoint directory nowhere" in capsys.readouterr().err
