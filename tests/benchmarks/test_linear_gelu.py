"""How much the fused linear layer and GELU saves: both ways in turns, CPU time of one thread.

Run with `pytest -m soak -s tests/benchmarks/test_linear_gelu.py`.
"""

from statistics import median
from time import process_time

import pytest
import torch
import torch.nn.functional as F

from engine.world_model.linear import Linear

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]


@pytest.mark.parametrize("tokens", [128, 4096])
@torch.no_grad()
def test_the_fused_layer_takes_less_than_product_and_gelu_apart(tokens: int) -> None:
    layer, x = Linear(128, 512), torch.randn(tokens, 128)
    ways = {
        "apart": lambda: F.gelu(F.linear(x, layer.weight, layer.bias), approximate="tanh"),
        "fused": lambda: layer.gelu(x),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(41):
        for name, way in ways.items():
            begin = process_time()
            way()
            seconds[name].append(process_time() - begin)
    ratio = median(seconds["apart"]) / median(seconds["fused"])
    print(f"\n{tokens} tokens: fused is {ratio:.2f} times as fast")
    assert ratio > 1.0
