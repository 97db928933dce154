"""OpenVLA-OFT with the discrete head: one forward pass gives a whole chunk (method.md §2)."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor, nn

from engine.device import autocast
from engine.libraries import from_library
from engine.policy import processor
from engine.policy.activations import SiLU, gelu
from engine.policy.config import LanguageConfig, PolicyConfig
from engine.policy.prompt import Tokenizer
from engine.policy.tokens import decode_actions, first_action_id
from engine.policy.vision import VisionBackbone
from engine.protocols import ActionChunk
from engine.records.types import Normalization
from engine.seeding import rand

LLAMA = "transformers.models.llama.modeling_llama"


class Projector(nn.Module):
    """Patch features to the language model's width: three layers, exact GELU between."""

    def __init__(self, features: int, hidden: int, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(features, hidden)
        self.fc2 = nn.Linear(hidden, width)
        self.fc3 = nn.Linear(width, width)

    def forward(self, patches: Float[Tensor, "b s d"]) -> Float[Tensor, "b s e"]:
        return self.fc3(gelu(self.fc2(gelu(self.fc1(patches)))))


class OpenVLAPolicy(nn.Module):
    """(image, instruction) -> a chunk of action tokens; implements the protocol `Policy`.

    The sequence is [BOS] [patches] [rest of the prompt] [k * a placeholders] [stop], and every
    token attends to every token that is not padding. Tokens are action-column indices in
    [0, 256), see `engine.policy.tokens`.
    """

    def __init__(
        self, config: PolicyConfig, *, normalization: Normalization, tokenizer: Tokenizer
    ) -> None:
        super().__init__()
        if normalization.action_dim != config.action_dim:
            raise ValueError(
                f"the statistics have {normalization.action_dim} dimensions, "
                f"the policy {config.action_dim}"
            )
        self.config = config
        self.tokenizer = tokenizer
        self.mixed: torch.dtype | None = None  # what it computes in while float32 is trained
        self._normalization = normalization
        features = config.dino.width + config.siglip.width
        width = config.language.hidden_size
        self.vision_backbone = VisionBackbone(config.dino, config.siglip)
        self.projector = Projector(features, config.projector_factor * features, width)
        self.language_model = language_model(config.language)
        if config.placeholder == "learned":
            self.placeholders = nn.Parameter(torch.randn(config.num_tokens, width) * 0.02)

    @property
    def chunk_size(self) -> int:
        """Actions predicted at once."""
        return self.config.chunk_size

    @property
    def action_dim(self) -> int:
        """Numbers in one action."""
        return self.config.action_dim

    @property
    def normalization(self) -> Normalization:
        """Statistics that turn normalised actions into raw ones."""
        return self._normalization

    @torch.no_grad()
    def act(
        self,
        images: UInt8[Tensor, "b h w 3"],
        instructions: Sequence[str],
        generators: Sequence[torch.Generator],
        temperature: float,
    ) -> ActionChunk:
        """Sample one chunk a row; a row is the same in any batch.

        At temperature 0 the tokens are the arg-max, the generators stay untouched, and
        log-probabilities and entropies are those of temperature 1.
        """
        scores = self._logits_by_length(images, instructions)
        if temperature == 0.0:
            chosen = scores.argmax(dim=2)
        else:
            noise = rand((self.config.num_tokens,), generators).to(scores.device)
            chosen = inverse_cdf(F.log_softmax(scores / temperature, dim=2), noise)
        log_probs, entropy = token_log_probs(scores, chosen, temperature or 1.0)
        actions = decode_actions(chosen, self.action_dim)
        return ActionChunk(tokens=chosen, actions=actions, log_probs=log_probs, entropy=entropy)

    def log_probs(
        self,
        images: UInt8[Tensor, "b h w 3"],
        instructions: Sequence[str],
        tokens: Int64[Tensor, "b l"],
        temperature: float,
    ) -> tuple[Float[Tensor, "b l"], Float[Tensor, "b l"]]:
        """(log-probabilities of the tokens, entropies) at a temperature above 0, float32."""
        logits = self.logits(images, instructions)
        return token_log_probs(logits, tokens.to(logits.device), temperature)

    def logits(
        self, images: UInt8[Tensor, "b h w 3"], instructions: Sequence[str]
    ) -> Float[Tensor, "b l 256"]:
        """Scores of the 256 actions for every token of the chunk, float32."""
        return self._logits(images, self.tokenizer.encode(instructions))

    def _logits_by_length(
        self, images: UInt8[Tensor, "b h w 3"], instructions: Sequence[str]
    ) -> Float[Tensor, "b l 256"]:
        """`logits`, one pass for each prompt length: without padding, rows do not meet."""
        prompts = self.tokenizer.encode(instructions)
        lengths = torch.tensor([len(prompt) for prompt in prompts])
        rows_of = [(lengths == length).nonzero()[:, 0] for length in lengths.unique()]
        scores = [self._logits(images[rows], [prompts[row] for row in rows]) for rows in rows_of]
        return torch.cat(scores)[torch.cat(rows_of).argsort()]

    def _logits(
        self, images: UInt8[Tensor, "b h w 3"], prompts: Sequence[Sequence[int]]
    ) -> Float[Tensor, "b l 256"]:
        ids, mask = pad_left(prompts, self.config.language.pad_token_id)
        weight = self.projector.fc1.weight
        pixels = processor.pixel_values(images.to(weight.device), self.config).to(weight.dtype)
        padded = None if bool(mask.all()) else mask.to(weight.device)
        with autocast(weight.device, self.mixed):
            return self(pixels, ids.to(weight.device), padded)

    def forward(
        self,
        pixel_values: Float[Tensor, "b 6 h w"],
        input_ids: Int64[Tensor, "b p"],
        attention_mask: Bool[Tensor, "b p"] | None = None,
    ) -> Float[Tensor, "b l 256"]:
        """Scores of the 256 actions from normalised pixels and left-padded prompts.

        Without a mask nothing is padding, and attention is free to take its fastest kernel.
        """
        states = self.action_states(pixel_values, input_ids, attention_mask)
        first = first_action_id(self.config.vocab_without_padding)
        weight = self.language_model.lm_head.weight[first : self.config.vocab_without_padding]
        return F.linear(states, weight).float()

    def action_states(
        self,
        pixel_values: Float[Tensor, "b 6 h w"],
        input_ids: Int64[Tensor, "b p"],
        attention_mask: Bool[Tensor, "b p"] | None = None,
    ) -> Float[Tensor, "b l d"]:
        """Last hidden states that predict the action tokens: shifted by one, so those of the
        last prompt token and of all placeholders but the last."""
        patches = self.projector(self.vision_backbone(pixel_values))
        real = torch.ones_like(input_ids) > 0 if attention_mask is None else attention_mask
        embeddings, keep, first = self._sequence(patches, input_ids, real)
        mask = None
        if attention_mask is not None:
            mask = repeat(keep, "b s -> b 1 q s", q=keep.shape[1])
        states = self.language_model.model(inputs_embeds=embeddings, attention_mask=mask)
        steps = torch.arange(self.config.num_tokens, device=first.device)
        positions = rearrange(first, "b -> b 1") + steps
        rows = rearrange(torch.arange(len(first), device=first.device), "b -> b 1")
        return states.last_hidden_state[rows, positions]

    def _sequence(
        self,
        patches: Float[Tensor, "b s d"],
        input_ids: Int64[Tensor, "b p"],
        attention_mask: Bool[Tensor, "b p"],
    ) -> tuple[Float[Tensor, "b q d"], Bool[Tensor, "b q"], Int64[Tensor, " b"]]:
        """(embeddings, which are not padding, position of each row's last prompt token)."""
        batch, num_tokens = len(patches), self.config.num_tokens
        order = (~attention_mask).to(torch.int64).argsort(dim=1, stable=True)
        prompt = self._embed(input_ids.gather(1, order))
        stop = self._embed(input_ids.new_full((batch, 1), self.config.language.eos_token_id))
        answer = torch.cat([self._placeholders(prompt), stop], dim=1)

        lengths = attention_mask.sum(dim=1)
        num_patches, width = patches.shape[1], patches.shape[2]
        padding = prompt[:, :0].new_zeros(batch, num_tokens + 1, width)
        padded = torch.cat([prompt[:, :1], patches, prompt[:, 1:], padding], dim=1)
        first = num_patches + lengths - 1
        slots = rearrange(first, "b -> b 1") + 1 + torch.arange(num_tokens + 1, device=first.device)
        embeddings = padded.scatter(1, repeat(slots, "b q -> b q d", d=width), answer)
        places = torch.arange(embeddings.shape[1], device=first.device)
        keep = places < rearrange(first + num_tokens + 2, "b -> b 1")
        return embeddings, keep, first

    def _placeholders(self, prompt: Float[Tensor, "b p d"]) -> Float[Tensor, "b l d"]:
        shape = (len(prompt), self.config.num_tokens, prompt.shape[2])
        if self.config.placeholder == "learned":
            return self.placeholders.expand(shape).to(prompt.dtype)
        return prompt.new_zeros(shape)

    def _embed(self, ids: Int64[Tensor, "b p"]) -> Float[Tensor, "b p d"]:
        return self.language_model.model.embed_tokens(ids)


def language_model(config: LanguageConfig) -> Any:
    """transformers' Llama of these sizes, with an activation that keeps a row's bits.

    Every token attends to every other, before and behind it, unless a mask forbids it.
    """
    llama = from_library(LLAMA, "LlamaForCausalLM")(
        from_library(LLAMA, "LlamaConfig")(
            **config.to_dict(),
            tie_word_embeddings=False,
            use_cache=False,
            attn_implementation="sdpa",
        )
    )
    llama.config.is_causal = False
    for layer in llama.model.layers:
        layer.self_attn.is_causal = False
        layer.mlp.act_fn = SiLU()
    # No file holds the rotary frequencies: they have values even where the weights have none yet.
    with torch.device("cpu"):
        llama.model.rotary_emb = from_library(LLAMA, "LlamaRotaryEmbedding")(llama.config)
    return llama


def pad_left(
    prompts: Sequence[Sequence[int]], pad: int
) -> tuple[Int64[Tensor, "b p"], Bool[Tensor, "b p"]]:
    """(ids, which are real) of prompts padded on the left to the longest."""
    longest = max(len(prompt) for prompt in prompts)
    ids = [[pad] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[False] * (longest - len(p)) + [True] * len(p) for p in prompts]
    return torch.tensor(ids), torch.tensor(mask)


def inverse_cdf(
    log_probs: Float[Tensor, "b l n"], noise: Float[Tensor, "b l"]
) -> Int64[Tensor, "b l"]:
    """The outcome that uniform noise in [0, 1) selects: the first whose cumulated probability
    exceeds it."""
    cumulated = log_probs.double().exp().cumsum(dim=2)
    level = noise.double() * cumulated[..., -1]
    below = cumulated <= rearrange(level, "b l -> b l 1")
    return below.sum(dim=2).clamp(max=log_probs.shape[2] - 1)


def token_log_probs(
    logits: Float[Tensor, "b l 256"], tokens: Int64[Tensor, "b l"], temperature: float
) -> tuple[Float[Tensor, "b l"], Float[Tensor, "b l"]]:
    """(log-probabilities of the tokens, entropies in nats) over the 256 actions (§2.5)."""
    log_probs = F.log_softmax(logits / temperature, dim=2)
    chosen = log_probs.gather(2, rearrange(tokens, "b l -> b l 1"))
    return rearrange(chosen, "b l 1 -> b l"), -(log_probs.exp() * log_probs).sum(dim=2)
