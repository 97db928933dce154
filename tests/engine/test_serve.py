"""A policy behind HTTP: its answer is its own, and what is wrong is said once and clearly."""

import base64
import http.client
import json
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.policy.config import PolicyConfig
from engine.policy.model import OpenVLAPolicy
from engine.policy.prompt import demo_tokenizer
from engine.recordings.plan import RecordingPlan
from engine.records.types import Normalization
from engine.seeding import generator, initialisation
from engine.serving.act import LARGEST_BODY, Actor, make_server
from engine.serving.policy import BAD_INPUT, main
from tests.engine.tiny import POLICY


@pytest.fixture(scope="module")
def policy() -> OpenVLAPolicy:
    """Of random weights: what is served is compared with what it says itself."""
    statistics = Normalization(q01=(-0.5,) * 4, q99=(0.75,) * 4, mask=(True, True, True, False))
    with initialisation(0, "served"):
        made = OpenVLAPolicy(
            PolicyConfig.from_dict(POLICY), normalization=statistics, tokenizer=demo_tokenizer()
        )
    return made.eval()


@pytest.fixture(scope="module")
def image(policy: OpenVLAPolicy) -> np.ndarray:
    side = policy.config.dino.image_size
    return np.random.default_rng(0).integers(0, 256, (side, side, 3)).astype(np.uint8)


def served(actor: Actor, **options: Any) -> Iterator[ThreadingHTTPServer]:
    server = make_server(actor, "127.0.0.1", 0, **options)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def server(policy: OpenVLAPolicy) -> Iterator[ThreadingHTTPServer]:
    yield from served(Actor(policy, policy.config.dino.image_size))


def ask(
    server: ThreadingHTTPServer, body: bytes | None, path: str = "/act", **headers: str
) -> tuple[int, Any]:
    client = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    client.request("GET" if body is None else "POST", path, body, headers)
    answer = client.getresponse()
    found = answer.status, json.loads(answer.read())
    client.close()
    return found


def packed(array: np.ndarray) -> dict[str, Any]:
    data = base64.b64encode(array.tobytes()).decode()
    return {"__numpy__": data, "dtype": array.dtype.str, "shape": list(array.shape)}


def unpacked(answer: dict[str, Any]) -> np.ndarray:
    data = base64.b64decode(answer["__numpy__"])
    return np.frombuffer(data, np.dtype(answer["dtype"])).reshape(answer["shape"])


def own(policy: OpenVLAPolicy, image: np.ndarray, instruction: str) -> np.ndarray:
    with torch.no_grad():
        chunk = policy.act(
            torch.from_numpy(image)[None], [instruction], [generator(7, "policy", 0, 0, 0)], 0.0
        )
    return policy.normalization.denormalize(chunk.actions[0].double().numpy()).astype(np.float32)


def test_the_answer_is_the_policys_own_bit_for_bit(
    server: ThreadingHTTPServer, policy: OpenVLAPolicy, image: np.ndarray
) -> None:
    question = {"image": packed(image), "instruction": "push the mug"}
    wanted = own(policy, image, "push the mug")
    status, answer = ask(server, json.dumps(question).encode())
    assert status == 200
    assert unpacked(answer).tobytes() == wanted.tobytes()
    assert unpacked(answer).shape == (policy.chunk_size, policy.action_dim)
    plain = {"full_image": image.tolist(), "instruction": "push the mug"}
    _, answer = ask(server, json.dumps(plain).encode())
    assert unpacked(answer).tobytes() == wanted.tobytes()
    twice = {"encoded": json.dumps(question)}  # as a client of json-numpy may send it
    _, answer = ask(server, json.dumps(twice).encode())
    assert unpacked(json.loads(answer)).tobytes() == wanted.tobytes()


def test_frames_of_the_robots_camera_are_shaped_as_its_recordings_were(
    policy: OpenVLAPolicy, image: np.ndarray
) -> None:
    side = len(image)
    large = np.pad(np.kron(image, np.ones((2, 2, 1), np.uint8)), ((0, 0), (6, 4), (0, 0)))
    plan = RecordingPlan(crop=(0, 6, 2 * side, 2 * side), turn="upside down", stride=3)
    for running in served(Actor(policy, side, plan)):
        question = {"image": packed(large), "instruction": "go"}
        _, answer = ask(running, json.dumps(question).encode())
        assert unpacked(answer).tobytes() == own(policy, image[::-1].copy(), "go").tobytes()
        status, answer = ask(running, json.dumps(question | {"image": packed(image)}).encode())
        assert (status, "not inside a frame" in answer["error"]) == (400, True)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"image": None}, "image must be uint8"),
        ({"image": packed(np.zeros((8, 8, 3), np.uint8))}, "pixels, not 8×8"),
        ({"image": packed(np.zeros((8, 8), np.uint8))}, r"image must be uint8 [h, w, 3]"),
        ({"image": packed(np.zeros((8, 8, 3), np.float32))}, "pictures are uint8, not <f4"),
        ({"image": {"__numpy__": "AAAA", "dtype": "|u1", "shape": [9, 9, 3]}}, "3 bytes are no"),
        ({"instruction": 3}, "instruction must be a text"),
    ],
)
def test_a_wrong_value_gets_one_sentence(
    server: ThreadingHTTPServer, image: np.ndarray, change: dict[str, Any], sentence: str
) -> None:
    question = {"image": packed(image), "instruction": "go"} | change
    status, answer = ask(server, json.dumps(question).encode())
    assert status == 400
    assert sentence in answer["error"]


def test_a_missing_field_or_no_json_gets_one_sentence(
    server: ThreadingHTTPServer, image: np.ndarray
) -> None:
    for body, sentence in (
        (json.dumps({"instruction": "go"}), "the field image is missing: instruction came"),
        (json.dumps({"image": packed(image)}), "the field instruction is missing"),
        ("{", "the request is no JSON"),
        ("[1]", "must be a JSON object"),
    ):
        status, answer = ask(server, body.encode())
        assert (status, sentence in answer["error"]) == (400, True)
    assert ask(server, b"{}", "/other")[0] == 404
    assert ask(server, None, "/")[1]["ok"]


def test_a_body_of_50_megabytes_is_refused_before_it_is_read(server: ThreadingHTTPServer) -> None:
    client = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    client.putrequest("POST", "/act")
    client.putheader("Content-Length", str(50 * 2**20))
    client.endheaders()  # and nothing more
    answer = client.getresponse()
    assert answer.status == 413
    assert json.loads(answer.read()) == {
        "error": f"a request may have {LARGEST_BODY // 2**20} MB, not 50"
    }
    client.close()


def test_two_clients_at_once_are_both_answered_with_their_own(
    server: ThreadingHTTPServer, policy: OpenVLAPolicy, image: np.ndarray
) -> None:
    questions = {"push": image, "pull": image[::-1].copy()}
    answers: dict[str, np.ndarray] = {}

    def client(instruction: str) -> None:
        body = {"image": packed(questions[instruction]), "instruction": instruction}
        answers[instruction] = unpacked(ask(server, json.dumps(body).encode())[1])

    threads = [threading.Thread(target=client, args=(name,)) for name in questions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, picture in questions.items():
        assert answers[name].tobytes() == own(policy, picture, name).tobytes()


def test_only_who_knows_the_token_is_answered(policy: OpenVLAPolicy) -> None:
    for running in served(Actor(policy, policy.config.dino.image_size), token="s3cret"):
        assert ask(running, None, "/")[0] == 401
        assert ask(running, b"{}", Authorization="Bearer wrong")[0] == 401
        assert ask(running, None, "/", Authorization="Bearer s3cret")[0] == 200


def test_a_door_to_others_needs_a_token(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.delenv("WMPO_SERVE_TOKEN", raising=False)
    assert main([str(tmp_path), "--host", "0.0.0.0"]) == BAD_INPUT
    assert "is seen by others: set WMPO_SERVE_TOKEN first" in capsys.readouterr().err
    assert main([str(tmp_path / "nothing")]) == BAD_INPUT
