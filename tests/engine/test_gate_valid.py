"""The gate lets good files through, and what comes out is equal bit for bit."""

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.gate import converter
from engine.gate.formats.values import main as check_values
from engine.gate.inspection import inspect, to_safetensors
from engine.gate.verdict import Kind, Limits, Reason, RefusedError, Verdict
from engine.records.manifest import file_sha256
from engine.seeding import generator

LIMITS = Limits().to_text()
Tensors = dict[str, Tensor]

FLOATS = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16,
    torch.float8_e4m3fn, torch.float8_e5m2,
]  # fmt: skip
INTEGERS = [
    torch.int8, torch.int16, torch.int32, torch.int64,
    torch.uint8, torch.uint16, torch.uint32, torch.uint64,
]  # fmt: skip


def normal(*shape: int, name: str = "w") -> Tensor:
    return torch.randn(*shape, generator=generator(0, "gate", name))


def edges(dtype: torch.dtype) -> Tensor:
    """Zeros of both signs, the smallest number, and the largest that weights may have."""
    largest = {torch.float8_e4m3fn: 448.0, torch.float8_e5m2: 8192.0, torch.bfloat16: 9984.0}
    values = [0.0, -0.0, torch.finfo(dtype).smallest_normal, -largest.get(dtype, 9_992.0)]
    return torch.tensor(values, dtype=torch.float64).to(dtype)


def weights() -> dict[str, Tensors]:
    """What safetensors files may hold."""
    return {
        **{
            str(dtype).split(".")[1]: {"w": edges(dtype), "x": normal(3, 5).to(dtype)}
            for dtype in FLOATS
        },
        **{
            str(dtype).split(".")[1]: {
                "w": torch.tensor([torch.iinfo(dtype).min, 7, torch.iinfo(dtype).max], dtype=dtype)
            }
            for dtype in INTEGERS
        },
        "bool": {"mask": torch.tensor([True, False, True])},
        "mixed": {
            "a": normal(7),
            "b": normal(2, 3).bfloat16(),
            "c": torch.arange(3),
            "d": edges(torch.float16),
        },
        "scalar": {"step": torch.tensor(3), "scale": torch.tensor(0.18215)},
        "zero-size": {"empty": torch.zeros(0, 4), "w": normal(2), "other": torch.zeros(3, 0)},
        "names": {"a/b.c-d_e": normal(2), "x" * 256: normal(2), "0": normal(1)},
        "large": {"w": normal(3_000_000)},
    }


@pytest.mark.parametrize("name", weights())
def test_safetensors_pass_unchanged(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.safetensors"
    tensors = weights()[name]
    save_file(tensors, path)
    verdict = accepted(path, Kind.SAFETENSORS)
    assert {n: entry.shape for n, entry in verdict.tensors.items()} == {
        n: tuple(tensor.shape) for n, tensor in tensors.items()
    }
    assert_equal(path, tensors)


@pytest.mark.parametrize(
    "metadata",
    [{"format": "pt"}, {"título": "机器人 🤖", "note": ""}, {"card": json.dumps({"a": [1]})}],
)
def test_metadata_passes(metadata: dict[str, str], tmp_path: Path) -> None:
    save_file({"w": normal(4)}, tmp_path / "w.safetensors", metadata=metadata)
    accepted(tmp_path / "w.safetensors", Kind.SAFETENSORS)
    with safe_open(tmp_path / "w.safetensors", framework="pt") as file:
        assert file.metadata() == metadata


def test_shards_with_their_index_pass(tmp_path: Path) -> None:
    names = [f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)]
    for name in names:
        save_file({f"{name}.w": normal(4, name=name)}, tmp_path / name)
    index = {"metadata": {"total_size": 48}, "weight_map": {f"{name}.w": name for name in names}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    accepted(tmp_path / "model.safetensors.index.json", Kind.JSON)
    for name in names:
        accepted(tmp_path / name, Kind.SAFETENSORS)


def test_a_model_gets_exactly_the_tensors_it_expects(tmp_path: Path) -> None:
    save_file({"a": normal(2, 3), "b": normal(4).half()}, tmp_path / "w.safetensors")
    expected = {"a": ({"F32", "BF16"}, (2, 3)), "b": ({"F16"}, (4,))}
    assert inspect(tmp_path / "w.safetensors", expected=expected).accepted


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"a": ({"F32"}, (3, 2))}, "'a' is [2, 3], not [3, 2]"),
        ({"a": ({"BF16", "F16"}, (2, 3))}, "'a' is F32, not BF16 or F16"),
        ({"c": ({"F32"}, (1,))}, "'c' is missing"),
        ({"b": None}, "'b' is unexpected"),
    ],
)
def test_a_model_is_not_given_other_tensors(
    changed: Mapping[str, tuple[set[str], tuple[int, ...]] | None], words: str, tmp_path: Path
) -> None:
    save_file({"a": normal(2, 3), "b": normal(4).half()}, tmp_path / "w.safetensors")
    wanted = {"a": ({"F32"}, (2, 3)), "b": ({"F16"}, (4,))} | changed
    expected = {name: value for name, value in wanted.items() if value is not None}
    verdict = inspect(tmp_path / "w.safetensors", expected=expected)
    assert (verdict.reason, words in verdict.sentence) == (Reason.WRONG_TENSORS, True)


def test_a_file_is_the_one_of_the_catalogue_or_refused(tmp_path: Path) -> None:
    save_file({"w": normal(4)}, tmp_path / "w.safetensors")
    sha256 = file_sha256(tmp_path / "w.safetensors")
    assert inspect(tmp_path / "w.safetensors", expected_sha256=sha256).accepted
    verdict = inspect(tmp_path / "w.safetensors", expected_sha256="0" * 64)
    assert verdict.reason == Reason.WRONG_HASH


# Torch files. What they hold, and the names under which it comes out.


def tied() -> tuple[object, Tensors]:
    embedding = normal(6, 4, name="embedding")
    return {"embed": embedding, "head": embedding}, {"embed": embedding, "head": embedding}


def views() -> tuple[object, Tensors]:
    matrix = normal(6, 4)
    tree = {"transposed": matrix.mT, "rows": matrix[1:3], "every": matrix[:, ::2], "w": matrix}
    return tree, {name: tensor.contiguous() for name, tensor in tree.items()}


def nested() -> tuple[object, Tensors]:
    tree = {
        "model": OrderedDict(a=normal(3), b=normal(2).bfloat16()),
        "ema": {"a": normal(3, name="ema")},
        "optimizer": {"state": {0: {"step": torch.tensor(5.0)}}, "groups": [{"lr": 1e-4}]},
        "epoch": 7,
        "note": "good",
        "best": None,
    }
    return tree, {
        "model.a": normal(3),
        "model.b": normal(2).bfloat16(),
        "ema.a": normal(3, name="ema"),
        "optimizer.state.0.step": torch.tensor(5.0),
    }


def module() -> tuple[object, Tensors]:
    network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    return {"state_dict": network.state_dict()}, {
        f"state_dict.{name}": tensor for name, tensor in network.state_dict().items()
    }


def parameters() -> tuple[object, Tensors]:
    tree = {
        "module.w": torch.nn.Parameter(normal(3)),
        "frozen": torch.nn.Parameter(normal(2), False),
    }
    return tree, {name: tensor.detach() for name, tensor in tree.items()}


def old_dtypes() -> tuple[object, Tensors]:
    dtypes = [*FLOATS[:4], *INTEGERS[:5]]
    tensors = {str(dtype): normal(5).mul(4).to(dtype) for dtype in dtypes}
    return tensors, tensors


def new_dtypes() -> tuple[object, Tensors]:
    dtypes = [*FLOATS[4:], *INTEGERS[5:]]
    tensors = {str(dtype): normal(5).abs().to(dtype) for dtype in dtypes}
    return tensors, tensors


def odd_shapes() -> tuple[object, Tensors]:
    tensors = {"scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3), "bit": torch.tensor([True])}
    return tensors, tensors


TREES = [tied, views, nested, module, parameters, old_dtypes, odd_shapes]
CASES = [
    *(pytest.param(tree, True, id=f"{tree.__name__}-zip") for tree in [*TREES, new_dtypes]),
    *(pytest.param(tree, False, id=f"{tree.__name__}-legacy") for tree in TREES),
]


@pytest.mark.parametrize(("tree", "zipped"), CASES)
def test_the_converter_keeps_every_bit(
    tree: Callable[[], tuple[object, Tensors]], zipped: bool, tmp_path: Path
) -> None:
    value, tensors = tree()
    torch.save(value, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    # In this process: these files are ours, and what the sandbox adds is tested below.
    converter.main([str(tmp_path / "w.pth"), str(tmp_path / "w.safetensors"), LIMITS])
    check_values([str(tmp_path / "w.safetensors"), LIMITS])
    assert_equal(tmp_path / "w.safetensors", tensors)


@pytest.mark.slow  # each starts a process
@pytest.mark.parametrize(
    ("name", "tree", "zipped"),
    [("w.pth", nested, True), ("pytorch_model.bin", module, False)],
)
def test_torch_files_come_out_of_the_sandbox_equal(
    name: str, tree: Callable[[], tuple[object, Tensors]], zipped: bool, tmp_path: Path
) -> None:
    value, tensors = tree()
    torch.save(value, tmp_path / name, _use_new_zipfile_serialization=zipped)
    assert_equal(to_safetensors(tmp_path / name, tmp_path), tensors)


@pytest.mark.soak
@pytest.mark.parametrize(("tree", "zipped"), CASES)
def test_every_torch_file_is_accepted(
    tree: Callable[[], tuple[object, Tensors]], zipped: bool, tmp_path: Path
) -> None:
    torch.save(tree()[0], tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    accepted(tmp_path / "w.pth", Kind.TORCH_ZIP if zipped else Kind.TORCH_LEGACY)


def test_what_is_no_tensor_is_named_in_the_metadata(tmp_path: Path) -> None:
    torch.save(nested()[0], tmp_path / "w.pth")
    converter.main([str(tmp_path / "w.pth"), str(tmp_path / "w.safetensors"), LIMITS])
    with safe_open(tmp_path / "w.safetensors", framework="pt") as file:
        assert file.metadata() == {
            "format": "pt",
            "left_out": "optimizer.groups.0.lr, epoch, note, best",
        }


# Texts.

TEXTS = {
    "config.json": json.dumps({"model_type": "openvla", "norm_stats": {"d": {"q01": [-1.5e-7]}}}),
    "dataset_statistics.json": '{"coffee": {"action": {"mean": [0.1, -2E+3], "mask": [true]}}}',
    "preprocessor_config.json": '{\n  "image_std": [[0.5, 0.5, 0.5]],\n  "do_resize": null\n}\n',
    "tokenizer.json": json.dumps({"model": {"vocab": {"▁the": 1, "\n": 2, "é\u202e": 3}}}),
    "tokenizer_config.json": '{"model_max_length": 1000000000000000019884624838656}',
    "running_states.json": '{"epoch": 0, "step": 7, "global_step": 7, "batch_size": 4}',
    "inference_cfg.py": (
        "# sizes\nnum_frames = 9\nmodel = dict(\n    type='STDiT3-XL/2',\n    qk_norm=True,\n"
        "    scale=-1e-4,  # comment\n    sizes=[(1, 2), (3,)],\n)\n"
        "buckets = {'144p': {1: (1.0, 475), 51: +2}}\nempty = {}\nname = 'a' 'b'\nnone = None\n"
    ),
    "train_mimicgen_cfg.py": '"""Training."""\nlr = 1e-4\nratios = {\n    "random": 0.05,\n}\n',
    "tokenizer.model": "\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02",
}


@pytest.mark.parametrize("name", TEXTS)
def test_texts_pass(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(TEXTS[name])
    kinds = {".json": Kind.JSON, ".py": Kind.CONFIG, ".model": Kind.SENTENCEPIECE}
    accepted(tmp_path / name, kinds[(tmp_path / name).suffix])
    with pytest.raises(ValueError, match="holds no weights"):
        to_safetensors(tmp_path / name, tmp_path)


def accepted(path: Path, kind: Kind) -> Verdict:
    before = path.read_bytes()
    verdict = inspect(path)
    assert verdict.accepted, verdict.sentence
    assert (verdict.kind, verdict.sha256) == (kind, file_sha256(path))
    assert path.read_bytes() == before
    return verdict


def assert_equal(path: Path, tensors: Tensors) -> None:
    loaded = load_file(path)
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert (loaded[name].dtype, loaded[name].shape) == (tensor.dtype, tensor.shape), name
        assert bits(loaded[name]) == bits(tensor), name


def bits(tensor: Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def test_the_limits_of_the_caller_hold_in_the_sandbox_too(tmp_path: Path) -> None:
    save_file({"a": normal(1), "b": normal(1)}, tmp_path / "w.safetensors")
    few = Limits(tensors=1)
    assert inspect(tmp_path / "w.safetensors", limits=few).reason == Reason.TOO_MANY_TENSORS
    with pytest.raises(RefusedError) as refusal:
        check_values([str(tmp_path / "w.safetensors"), few.to_text()])
    assert refusal.value.reason == Reason.TOO_MANY_TENSORS
