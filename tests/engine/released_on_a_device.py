"""The released models on a device, as fake tensors: shapes, dtypes and devices without numbers.

For a process of its own, which knows the pretended device. (A PyTorch built without CUDA cannot
even index fake tensors on `cuda`.)
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch._subclasses.fake_tensor import unset_fake_temporarily

from engine.images import to_pixels
from engine.memory.footprint import META, on_meta
from engine.policy.adapters import add_adapters
from engine.policy.config import paper_policy_config
from engine.policy.model import OpenVLAPolicy
from engine.policy.prompt import demo_tokenizer
from engine.records.types import Normalization
from engine.reward.classifier import RewardConfig, VideoReward
from engine.world_model.flow import training_loss
from engine.world_model.model import LatentWorldModel, WorldModelConfig
from tests.pretend_device import NAME, known_device

DEVICE = f"{NAME}:0"


def main() -> None:
    """Imagine and judge in bfloat16, and train in float32."""
    known_device()
    with FakeTensorMode(allow_non_fake_inputs=True):
        world_model(WorldModelConfig.paper())
        reward_model(RewardConfig.paper())
        policy()


def world_model(config: WorldModelConfig) -> None:
    """A chunk, its frames, and a step of training."""
    model = placed(lambda: LatentWorldModel(config), torch.bfloat16)
    z, y, x = config.latent_shape
    transformer = model.transformer
    with torch.no_grad():
        cache = transformer.context(there(2, z, 4, y, x), 256, 256)
        actions = transformer.embed_actions(there(2, 8, 7))
        velocity = transformer.denoise(
            cache, there(2, z, 8, y, x), transformer.embed_times(there(2)), actions
        )
    check(velocity, torch.float32)
    frames = to_pixels(model.decode(there(8, z, y, x)))
    check(frames, torch.uint8)
    assert tuple(frames.shape) == (8, 256, 256, 3)
    model = placed(lambda: LatentWorldModel(config), torch.float32)
    clips, noise = there(2, z, 12, y, x), there(2, z, 12, y, x)
    loss = training_loss(model.transformer, clips, there(2, 8, 7), noise, there(2), 256, 256)
    loss.mean().backward()
    check(model.transformer.x_embedder.proj.weight.grad, torch.float32)


def reward_model(config: RewardConfig) -> None:
    """Frames resized where they lie, and a step of training."""
    for dtype in (torch.bfloat16, torch.float32):
        model = placed(lambda: VideoReward(config), dtype)
        pixels = model.preprocess(there(2, 8, 256, 256, 3, dtype=torch.uint8))
        logits = model(pixels)
        check(logits, torch.float32)
    F.cross_entropy(logits, there(2, dtype=torch.int64)).backward()
    check(model.network.classifier.weight.grad, torch.float32)


def policy() -> None:
    """Scores of a chunk's tokens, and their gradient."""
    config, seven = paper_policy_config(), (1.0,) * 7
    statistics = Normalization(q01=tuple(-one for one in seven), q99=seven, mask=(True,) * 7)

    def build() -> OpenVLAPolicy:
        return OpenVLAPolicy(config, normalization=statistics, tokenizer=demo_tokenizer())

    ids, side = there(2, 32, dtype=torch.int64), config.image_size
    for dtype in (torch.bfloat16, torch.float32):
        model = placed(build, dtype)
        scores = model(there(2, 6, side, side, dtype=dtype), ids)
        check(scores, torch.float32)
    scores.logsumexp(dim=2).sum().backward()
    check(model.projector.fc1.weight.grad, torch.float32)
    with unset_fake_temporarily(), META:  # peft cannot move fake tensors
        adapted = on_meta(build, torch.bfloat16)
        add_adapters(adapted, rank=32, alpha=32.0)
    adapters(filled(adapted), there(2, 6, side, side, dtype=torch.bfloat16), ids)


def adapters(model: OpenVLAPolicy, pixels: Tensor, ids: Tensor) -> None:
    """Trained in float32 beside a frozen policy in bfloat16."""
    model(pixels, ids).logsumexp(dim=2).sum().backward()
    trained = [p for p in model.parameters() if p.requires_grad]
    assert sum(p.numel() for p in trained) < 0.02 * sum(p.numel() for p in model.parameters())
    for parameter in trained:
        check(parameter, torch.float32)
        check(parameter.grad, torch.float32)


def placed(build: Callable[[], nn.Module], dtype: torch.dtype) -> Any:
    """A model of fake tensors on the device."""
    return filled(on_meta(build, dtype))


def filled(model: Any) -> Any:
    """A model without data, with fake tensors on the device."""
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    fake = {name: there(*t.shape, dtype=t.dtype) for name, t in model.state_dict().items()}
    model.load_state_dict(fake, assign=True)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trained)
    for module in model.modules():  # and what no file holds
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, there(*buffer.shape, dtype=buffer.dtype))
    return model


def there(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(*shape, dtype=dtype, device=DEVICE)


def check(tensor: Tensor, dtype: torch.dtype) -> None:
    assert (str(tensor.device), tensor.dtype) == (DEVICE, dtype)
