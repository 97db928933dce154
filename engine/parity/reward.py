"""Reward model, judge, GRPO and clips against reference vectors (method.md §3, §4, §5).

Sizes come from the JSON and the tensors, weights from the file: any folder of the format will do.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import einsum, rearrange, reduce
from torch import Tensor
from torch.nn import functional as F

from engine.data.windows import clip_actions, clip_frames, clip_starts
from engine.images import to_model
from engine.learning.grpo import (
    accumulate_gradient,
    approx_kl,
    clip_fraction,
    group_advantages,
    informative,
    masked_mean,
    spread,
    success_returns,
    token_losses,
    token_mask,
    token_weights,
)
from engine.parity.items import EXACT, Item, compare, load_vectors, weights_of
from engine.policy.model import token_log_probs
from engine.policy.tokens import first_action_id
from engine.records.types import JudgeRules, Normalization
from engine.reward.classifier import RewardConfig, VideoReward, rename_released
from engine.reward.judge import outcome, window_ends

GRPO = 1e-6
ACTION_DIM = 7
REAL_VOCABULARY = 32000
NUM_BINS = 256
HALF = (0.5, 0.5, 0.5)  # transformers' default mean and deviation, used to make the vectors


def check_reward_videomae(path: Path) -> list[Item]:
    """Preprocessing, logits, probability, loss and gradients of the classifier."""
    scalars, tensors = load_vectors(path)
    reward = _released_classifier(scalars, tensors)
    frames, pixels = tensors["in.frames"], tensors["in.pixel_values"]
    network = reward.network
    logits = reward(pixels)
    loss = F.cross_entropy(logits, tensors["in.labels"])
    loss.backward()
    with torch.no_grad():
        embeddings = network.videomae.embeddings(pixels, None)
        hidden = network.videomae.encoder(embeddings).last_hidden_state
    rules = JudgeRules(window=reward.window, first_end=reward.window)
    _, probabilities = reward.probabilities(frames, rules)
    items = [
        compare("in.pixel_values", reward.preprocess(frames), pixels),
        compare("mid.embeddings", embeddings, tensors["mid.embeddings"]),
        compare("mid.last_hidden", hidden, tensors["mid.last_hidden"]),
        compare("out.logits", logits, tensors["out.logits"]),
        compare("out.success_prob", probabilities[:, 0], tensors["out.success_prob"]),
        compare("out.ce_loss", loss, tensors["out.ce_loss"]),
    ]
    parameters = dict(network.named_parameters())
    for name in sorted(name for name in tensors if name.startswith("grad.")):
        [own] = rename_released({name.removeprefix("grad."): tensors[name]})
        gradient = parameters[own].grad
        items.append(compare(name, torch.zeros(0) if gradient is None else gradient, tensors[name]))
    return items


def _released_classifier(scalars: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> VideoReward:
    sizes = dict(scalars["config"])
    fixed: dict[str, Any] = {"num_channels": 3, "num_labels": 2, "qkv_bias": True}
    fixed |= {"use_mean_pooling": True, "hidden_act": "gelu"}
    fixed |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    for name, value in fixed.items():
        if sizes.pop(name, value) != value:
            raise ValueError(f"the reward model supports {name} {value} only")
    if scalars.get("processor_size", sizes["image_size"]) != sizes["image_size"]:
        raise ValueError("the processor's size is not the model's image size")
    mean, std = scalars.get("image_mean", HALF), scalars.get("image_std", HALF)
    reward = VideoReward(RewardConfig.from_dict(sizes | {"image_mean": mean, "image_std": std}))
    weights = rename_released(weights_of(dict(tensors)))
    reward.network.load_state_dict(weights, strict=True)
    return reward


def check_reward_success(path: Path) -> list[Item]:
    """Window probabilities of the published toy classifier, success and end step."""
    scalars, tensors = load_vectors(path)
    window, num_frames = scalars["window"], tensors["video"].shape[1]
    every = _toy_probabilities(tensors["video"], tensors["frame_weight"])
    rules = JudgeRules(
        window=window,
        stride=scalars["stride"],
        first_end=scalars["ignored_prefix"] + window,
        last_window_counts=False,
    )
    ends = window_ends(num_frames, rules)
    judged = [
        outcome(ends, row, scalars["threshold"], rules, num_frames)
        for row in every.numpy()[:, ends - window]
    ]
    success = torch.tensor([int(one.success) for one in judged])
    end_step = torch.tensor([one.end_step for one in judged])
    name = "window_prob_by_end_from8"
    return [
        compare(name, every, tensors[name]),
        compare("complete", success, tensors["complete"], EXACT),
        compare("finish_step", end_step, tensors["finish_step"], EXACT),
    ]


def _toy_probabilities(video: Tensor, weight: Tensor) -> Tensor:
    """The vectors' toy classifier on windows ending at 8, 9, … of videos uint8 [b t h w 3]."""
    brightness = reduce(video[..., 0].float(), "b t h w -> b t", "mean") / 255.0
    windows = brightness.unfold(1, len(weight), 1)
    score = einsum(windows, weight, "b w t, t -> b w")
    return torch.sigmoid(12.0 * (score - 0.55))


def check_grpo(path: Path) -> list[Item]:
    """Returns, filter, advantages, log-probabilities, loss and one actor update."""
    scalars, tensors = load_vectors(path)
    success, groups = tensors["complete"].bool(), scalars["uid"]
    num_tokens = tensors["actor.advantages"].shape[1]
    returns = success_returns(success)
    advantages = group_advantages(returns, groups)
    low, high = scalars["filter_bounds"]
    kept = torch.nonzero(informative(success, groups, low=low, high=high))[:, 0]
    mask = token_mask(tensors["finish_step"], num_tokens=num_tokens, action_dim=ACTION_DIM)
    last = mask.sum(dim=1) - 1
    scores = torch.zeros(mask.shape).scatter(1, last[:, None], returns[:, None])
    scored = torch.nonzero(scores)
    active = (spread(advantages, mask) != 0).sum(dim=1)
    index, value = "token_level_scores_nonzero_index", "token_level_scores_nonzero_value"
    return [
        compare("acc", success.float(), tensors["acc"], EXACT),
        compare("response_mask.sum", mask.sum(dim=1), tensors["response_mask.sum"], EXACT),
        compare(index, scored, tensors[index], EXACT),
        compare(value, scores[scores != 0], tensors[value], GRPO),
        compare("filter.kept_index", kept, tensors["filter.kept_index"], EXACT),
        compare("advantage.per_traj", advantages, tensors["advantage.per_traj"], GRPO),
        compare("advantage.active_tokens", active, tensors["advantage.active_tokens"], EXACT),
        *_loss_items(scalars, tensors, advantages, mask),
        *_log_prob_items(scalars, tensors),
        *_actor_items(scalars, tensors),
    ]


def _loss_items(
    scalars: Mapping[str, Any], tensors: Mapping[str, Tensor], advantages: Tensor, mask: Tensor
) -> list[Item]:
    rows, valid = tensors["loss.rows"], tensors["loss.mask"].bool()
    log_probs = tensors["loss.log_prob"].clone().requires_grad_()
    arguments = (log_probs, tensors["loss.old_log_prob"], tensors["loss.advantages"])
    clip = {"clip_low": scalars["clip_low"], "clip_high": scalars["clip_high"]}
    loss = masked_mean(token_losses(*arguments, **clip), valid)
    [gradient] = torch.autograd.grad(loss, log_probs)
    ours = {
        "loss.advantages": spread(advantages[rows], mask[rows]),
        "loss.mask": mask[rows].to(torch.uint8),
        "loss.pg_loss": loss,
        "loss.clipfrac": clip_fraction(*arguments, valid, **clip),
        "loss.approx_kl": approx_kl(*arguments[:2], valid),
        "loss.grad_log_prob": gradient,
    }
    return [compare(name, value, tensors[name], GRPO) for name, value in ours.items()]


def _log_prob_items(scalars: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> list[Item]:
    tokens = tensors["logp.responses"] - first_action_id(REAL_VOCABULARY)
    logits = tensors["logp.logits_last320"][..., :NUM_BINS]
    log_probs, entropy = token_log_probs(logits, tokens, scalars["temperature"])
    return [
        compare("logp.out", log_probs, tensors["logp.out"], GRPO),
        compare("logp.entropy", entropy, tensors["logp.entropy"], GRPO),
    ]


def _actor_items(scalars: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> list[Item]:
    """One SGD step of the toy linear policy, its trajectories cut into slices."""
    weight = tensors["actor.W"].clone().requires_grad_()
    pixels = rearrange(tensors["actor.pixel_values"], "b n p -> (b n) p")
    tokens = tensors["actor.responses"] - first_action_id(REAL_VOCABULARY)
    chunks = tokens.shape[1]
    tokens = rearrange(tokens, "b n l -> (b n) l")

    def log_probs_of(rows: Tensor) -> tuple[Tensor, Tensor]:
        logits = einsum(pixels[rows], weight, "m p, p l v -> m l v")[..., :NUM_BINS]
        return token_log_probs(logits, tokens[rows], scalars["temperature"])

    def folded(values: Tensor) -> Tensor:
        return rearrange(values, "b (n l) -> (b n) l", n=chunks)

    old, advantages = tensors["actor.old_log_probs"], tensors["actor.advantages"]
    steps = tensors["actor.finish_step"]
    mask = token_mask(steps, num_tokens=advantages.shape[1], action_dim=ACTION_DIM)
    clip = {"clip_low": scalars["clip_low"], "clip_high": scalars["clip_high"]}
    with torch.no_grad():
        every = log_probs_of(torch.arange(len(tokens)))[0]
        log_probs = rearrange(every, "(b n) l -> b (n l)", n=chunks) * mask
    weights = token_weights(mask) * (len(mask) / scalars["gradient_accumulation"])
    accumulate_gradient(
        log_probs_of,
        folded(old),
        folded(advantages),
        folded(weights),
        slice_rows=scalars["traj_mini_batch"],
        **clip,
    )
    norm = torch.nn.utils.clip_grad_norm_([weight], scalars["grad_clip"])
    torch.optim.SGD([weight], lr=scalars["sgd_lr"]).step()
    return [
        compare("actor.advantages", spread(advantages[:, 0], mask), advantages, GRPO),
        compare("actor.log_prob_masked", log_probs, tensors["actor.log_prob_masked"], GRPO),
        compare("actor.W_after", weight, tensors["actor.W_after"], GRPO),
        *_actor_metrics(scalars["actor_metrics"], log_probs, old, advantages, mask, clip, norm),
    ]


def _actor_metrics(
    metrics: Mapping[str, list[float]],
    log_probs: Tensor,
    old: Tensor,
    advantages: Tensor,
    mask: Tensor,
    clip: Mapping[str, float],
    norm: Tensor,
) -> list[Item]:
    rows = [slice(row, row + 1) for row in range(len(mask))]
    losses = token_losses(log_probs, old, advantages, **clip)
    ours = {
        "actor/pg_loss": [masked_mean(losses[row], mask[row]) for row in rows],
        "actor/pg_clipfrac": [
            clip_fraction(log_probs[row], old[row], advantages[row], mask[row], **clip)
            for row in rows
        ],
        "actor/ppo_kl": [approx_kl(log_probs[row], old[row], mask[row]) for row in rows],
        "actor/grad_norm": [norm],
    }
    return [
        compare(name, torch.stack(values), torch.tensor(metrics[name]), GRPO)
        for name, values in ours.items()
    ]


def check_dataset_clips(path: Path) -> list[Item]:
    """Starts, frame ranges, frames and normalised actions of an episode's clips."""
    scalars, tensors = load_vectors(path)
    chunk_size, context_frames = scalars["chunk"], scalars["history"]
    starts = clip_starts(scalars["finish_step"], chunk_size, stride=scalars["stride"])
    frames = clip_frames(starts, context_frames=context_frames, chunk_size=chunk_size)
    q01, q99 = tensors["stats.q01"].tolist(), tensors["stats.q99"].tolist()
    normalization = Normalization(q01=tuple(q01), q99=tuple(q99), mask=(True,) * len(q01))
    actions = normalization.normalize(tensors["episode.action"].numpy())
    clips = actions[clip_actions(starts, chunk_size=chunk_size)]
    video = to_model(tensors["episode.video"][torch.from_numpy(frames)])
    ranges = np.maximum(np.array(scalars["video_ranges"]) - [0, 1], 0)
    return [
        compare(
            "start_indices", torch.from_numpy(starts), torch.tensor(scalars["start_indices"]), EXACT
        ),
        compare(
            "video_ranges", torch.from_numpy(frames[:, [0, -1]]), torch.from_numpy(ranges), EXACT
        ),
        compare("clips.video", rearrange(video, "b t c h w -> b c t h w"), tensors["clips.video"]),
        compare("clips.action", torch.from_numpy(clips), tensors["clips.action"]),
    ]


CHECKS: dict[str, Callable[[Path], list[Item]]] = {
    "reward_videomae": check_reward_videomae,
    "reward_success": check_reward_success,
    "grpo": check_grpo,
    "dataset_clips": check_dataset_clips,
}
