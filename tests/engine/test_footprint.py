"""Peak memory traced on the meta device, against sums worked by hand."""

import torch
import torch.nn.functional as F
from torch import nn

from engine.memory.footprint import META, count_parameters, on_meta, peak_bytes, weight_bytes

KIB = 1024


def tensor(bytes_: int) -> torch.Tensor:
    return torch.empty(bytes_ // 4, device=META)


def test_the_peak_is_what_is_alive_at_once() -> None:
    x = tensor(KIB)  # made before: not counted

    def run() -> torch.Tensor:
        y = x + 1.0  # 1 KiB
        z = torch.cat([y, y])  # 3 KiB
        del y  # 2 KiB
        return z * 2.0  # 4 KiB

    assert peak_bytes(nn.Identity(), run) == 4 * KIB


def test_views_and_weights_take_nothing() -> None:
    linear = on_meta(lambda: nn.Linear(16, 16), torch.float32)
    x = tensor(16 * 16 * 4).view(16, 16)
    assert peak_bytes(linear, lambda: linear.weight.flatten()[None].view(4, 64)) == 0
    assert peak_bytes(linear, lambda: linear(x)) == 16 * 16 * 4


def test_attention_keeps_no_scores() -> None:
    q = torch.empty(1, 2, 512, 8, device=META)
    assert peak_bytes(nn.Identity(), lambda: F.scaled_dot_product_attention(q, q, q)) == q.nbytes


def test_parameters_take_the_asked_precision_and_buffers_keep_theirs() -> None:
    norm = on_meta(lambda: nn.BatchNorm1d(8), torch.bfloat16)
    assert norm.weight.device == META
    assert (norm.weight.dtype, norm.running_mean.dtype) == (torch.bfloat16, torch.float32)
    assert count_parameters(norm) == 16
    assert weight_bytes(norm) == 16 * 2 + 16 * 4 + 8  # the counter is one int64
