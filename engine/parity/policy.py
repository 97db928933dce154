"""Our policy against reference vectors: method.md §2, format in the vectors' README.

Sizes come from the JSON and the tensors, weights from the file: any folder of the format will do.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from engine.parity.items import EXACT, Item, compare, load_vectors, weights_of
from engine.policy.config import LanguageConfig, PolicyConfig, TrunkConfig
from engine.policy.model import OpenVLAPolicy, token_log_probs
from engine.policy.processor import (
    centre_crop,
    jpeg_round_trip,
    lanczos_floats,
    lanczos_resize,
    normalize_twice,
)
from engine.policy.prompt import demo_tokenizer
from engine.policy.tokens import decode_values, encode_values, first_action_id
from engine.records.types import Normalization

REAL_VOCABULARY = 32000
GREY_LEVEL = 1.0
FLOAT_CROP_CORNER = 100


def released_policy(scalars: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> OpenVLAPolicy:
    """The policy a vla file describes, with its weights, strictly loaded."""
    weights = weights_of(dict(tensors))
    normalization = _normalization(scalars)
    language = LanguageConfig.from_dict(scalars["llm"])
    num_tokens = tensors["out.greedy_tokens"].shape[1]
    config = PolicyConfig(
        dino=_trunk(scalars, weights, "dino", "vision_backbone.featurizer."),
        siglip=_trunk(scalars, weights, "siglip", "vision_backbone.fused_featurizer."),
        language=language.replace(
            pad_token_id=scalars["pad_token_id"], eos_token_id=scalars["stop_token"]
        ),
        chunk_size=num_tokens // normalization.action_dim,
        action_dim=normalization.action_dim,
        vocab_without_padding=scalars["vocab_without_padding"],
    )
    policy = OpenVLAPolicy(config, normalization=normalization, tokenizer=demo_tokenizer())
    policy.load_state_dict(weights)
    return policy.eval()


def _trunk(
    scalars: Mapping[str, Any], weights: Mapping[str, Tensor], key: str, prefix: str
) -> TrunkConfig:
    sizes = scalars["timm_overrides"][key]
    prefixes = (f"{prefix}cls_token", f"{prefix}reg_token")
    return TrunkConfig(
        width=sizes["embed_dim"],
        depth=sizes["depth"],
        num_heads=sizes["num_heads"],
        mlp_dim=len(weights[f"{prefix}blocks.0.mlp.fc1.bias"]),
        patch_size=scalars["patch"],
        image_size=scalars["image_size"],
        prefix_tokens=sum(weights[name].shape[1] for name in prefixes if name in weights),
        layer_scale=f"{prefix}blocks.0.ls1.scale_factor" in weights,
        keep_unused=True,
    )


def _normalization(scalars: Mapping[str, Any]) -> Normalization:
    statistics = next(iter(scalars["norm_stats"].values()))
    return Normalization.from_dict(statistics["action"])


def check_vla(path: Path) -> list[Item]:
    """Features, logits, tokens, actions, log-probs, gradients, ragged prompts, token values."""
    scalars, tensors = load_vectors(path)
    policy = released_policy(scalars, tensors)
    with torch.no_grad():
        items = _features(policy, tensors) + _greedy(policy, tensors)
    return (
        items + _compare_sampled(policy, tensors, scalars["temperature"]) + _tokens(policy, tensors)
    )


def _prompt(tensors: Mapping[str, Tensor], ending: str = "") -> tuple[Tensor, Tensor, Tensor]:
    mask = tensors[f"in.attention_mask{ending}"].bool()
    return tensors["in.pixel_values"], tensors[f"in.input_ids{ending}"], mask


def _features(policy: OpenVLAPolicy, tensors: Mapping[str, Tensor]) -> list[Item]:
    both = policy.vision_backbone(tensors["in.pixel_values"])
    dino, siglip = both.split([policy.config.dino.width, policy.config.siglip.width], dim=2)
    logits = policy.language_model.lm_head(policy.action_states(*_prompt(tensors)))
    return [
        compare("mid.dino_patches", dino, tensors["mid.dino_patches"]),
        compare("mid.siglip_patches", siglip, tensors["mid.siglip_patches"]),
        compare("mid.projected", policy.projector(both), tensors["mid.projected"]),
        compare("out.logits_action", logits, tensors["out.logits_action"]),
    ]


def _greedy(policy: OpenVLAPolicy, tensors: Mapping[str, Tensor]) -> list[Item]:
    first = first_action_id(policy.config.vocab_without_padding)
    tokens = policy(*_prompt(tensors)).argmax(dim=2)
    ragged = policy(*_prompt(tensors, "_ragged")).argmax(dim=2)
    normalized = decode_values(rearrange(tokens, "b (k a) -> (b k) a", a=policy.action_dim))
    return [
        compare("out.greedy_tokens", tokens + first, tensors["out.greedy_tokens"], EXACT),
        compare(
            "out.greedy_tokens_ragged", ragged + first, tensors["out.greedy_tokens_ragged"], EXACT
        ),
        compare("out.greedy_normalized", normalized, tensors["out.greedy_normalized"]),
        compare("out.greedy_actions", _raw(policy, tokens), tensors["out.greedy_actions"]),
    ]


def _compare_sampled(
    policy: OpenVLAPolicy, tensors: Mapping[str, Tensor], temperature: float
) -> list[Item]:
    first = first_action_id(policy.config.vocab_without_padding)
    tokens = tensors["out.sampled_tokens"] - first
    log_probs, _ = token_log_probs(policy(*_prompt(tensors)), tokens, temperature)
    log_probs.mean().backward()
    parameters = dict(policy.named_parameters())
    gradients = {name: parameters[name.removeprefix("grad.")].grad for name in _gradients(tensors)}
    return [
        compare("out.sampled_actions", _raw(policy, tokens), tensors["out.sampled_actions"]),
        compare("out.sampled_log_prob", log_probs, tensors["out.sampled_log_prob"]),
        *(
            Item(f"{name} missing", float("inf"), EXACT)
            if gradient is None
            else compare(name, gradient, tensors[name])
            for name, gradient in gradients.items()
        ),
    ]


def _gradients(tensors: Mapping[str, Tensor]) -> list[str]:
    return sorted(name for name in tensors if name.startswith("grad."))


def _raw(policy: OpenVLAPolicy, tokens: Tensor) -> Tensor:
    values = decode_values(rearrange(tokens, "b (k a) -> b k a", a=policy.action_dim))
    return torch.from_numpy(policy.normalization.denormalize(values.numpy()))


def _tokens(policy: OpenVLAPolicy, tensors: Mapping[str, Tensor]) -> list[Item]:
    first = first_action_id(REAL_VOCABULARY)
    ids = encode_values(tensors["token.values"]) + first
    decoded = decode_values(torch.arange(REAL_VOCABULARY - first))
    raw = torch.from_numpy(policy.normalization.denormalize(tensors["unnorm.in"].numpy()))
    return [
        compare("token.ids", ids, tensors["token.ids"], EXACT),
        compare("token.decoded_all", decoded, tensors["token.decoded_all"]),
        compare("unnorm.out", raw, tensors["unnorm.out"]),
    ]


def check_image_pipeline(path: Path) -> list[Item]:
    """Each stage from the stored result of the one before; errors in grey levels."""
    _, tensors = load_vectors(path)
    [resized] = [name for name in tensors if name.startswith("resized_")]
    cropped = resized.replace("resized_", "center_cropped_")
    size = len(tensors[resized])
    frame, jpeg, small = (tensors[name][None] for name in ("frame", "after_jpeg", resized))

    floats, inside = tensors["lanczos_float_crop"], slice(FLOAT_CROP_CORNER, None)
    ours = lanczos_floats(jpeg, size)[0, inside, inside][: floats.shape[0], : floats.shape[1]]
    corner = tensors["pixel_values_corner"]
    pixels = normalize_twice(tensors[cropped][None], PolicyConfig())[0]
    return [
        _grey("after_jpeg", jpeg_round_trip(frame)[0], tensors["after_jpeg"]),
        _grey("lanczos_float_crop", ours, floats),
        _grey(resized, lanczos_resize(jpeg, size)[0], tensors[resized]),
        _grey(cropped, centre_crop(small, size)[0], tensors[cropped]),
        _grey(
            "center_cropped_from_raw",
            centre_crop(frame, size)[0],
            tensors["center_cropped_from_raw"],
        ),
        compare("pixel_values_corner", pixels[:, : corner.shape[1], : corner.shape[2]], corner),
    ]


def _grey(name: str, ours: Tensor, reference: Tensor) -> Item:
    if ours.shape != reference.shape:
        return Item(f"{name} {list(ours.shape)}≠{list(reference.shape)}", float("inf"), GREY_LEVEL)
    return Item(name, (ours.double() - reference.double()).abs().max().item(), GREY_LEVEL)


CHECKS: dict[str, Callable[[Path], list[Item]]] = {
    "vla": check_vla,
    "image_pipeline": check_image_pipeline,
}
