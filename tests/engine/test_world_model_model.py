"""The world model as the studio sees it: protocol, sizes, independent rows, clear errors."""

import pytest
import torch

from engine.protocols import WorldModel
from engine.records.types import DreamContext
from engine.seeding import generator, randn, row_generators
from engine.world_model.autoencoder import AutoencoderConfig
from engine.world_model.flow import add_noise
from engine.world_model.model import LatentWorldModel, WorldModelConfig
from engine.world_model.transformer import TransformerConfig

CONFIG = WorldModelConfig(
    transformer=TransformerConfig(
        hidden_size=32, depth=1, num_heads=2, in_channels=3, action_dim=5, input_sq_size=64
    ),
    autoencoder=AutoencoderConfig(
        patch=1, block_channels=(4, 8, 8), latent_channels=3, norm_groups=2, micro_batch=4
    ),
    image_size=32,
)
ROWS = [(start, member) for start in range(4) for member in range(2)]


@pytest.fixture(scope="module")
def world_model() -> LatentWorldModel:
    """A world model with no weight at zero."""
    model = LatentWorldModel(CONFIG).eval()
    noise = generator(1, "weights")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=noise)
    return model


def test_it_is_a_world_model_of_the_sizes_its_config_says(world_model: LatentWorldModel) -> None:
    assert isinstance(world_model, WorldModel)
    assert world_model.latent_shape == (3, 8, 8)
    assert (world_model.context_frames, world_model.chunk_size, world_model.action_dim) == (4, 8, 5)


def test_a_row_is_the_same_alone_and_in_a_batch(world_model: LatentWorldModel) -> None:
    def dream(rows: list[tuple[int, int]]) -> list[torch.Tensor]:
        inputs = row_generators(0, "input", rows=rows)
        frames = randn((3, 32, 32), inputs).clamp(-1, 1)
        actions = randn((8, 5), inputs).clamp(-1, 1)
        start = world_model.encode(frames, row_generators(0, "encode", rows=rows))
        context = start[:, None].expand(-1, 4, -1, -1, -1)
        noise = row_generators(0, "world model", 0, rows=rows)
        future = world_model.predict(context, actions, noise, 3)
        return [start, future, world_model.decode(future[:, -1])]

    together = dream(ROWS)
    for part in (slice(0, 1), slice(3, 4), slice(2, 5), slice(5, 8)):
        for whole, alone in zip(together, dream(ROWS[part]), strict=True):
            assert torch.equal(whole[part], alone)


def test_many_rows_are_taken_some_at_a_time_and_change_no_bit(
    world_model: LatentWorldModel,
) -> None:
    taken: list[int] = []
    block = world_model.transformer.spatial_blocks[0].attn
    hook = block.qkv.register_forward_pre_hook(lambda _, given: taken.append(given[0].shape[1]))
    latents, noise = torch.randn(19, 4, 3, 8, 8), torch.randn(19, 3, 8, 8, 8)
    actions = torch.rand(19, 8, 5) * 2 - 1
    together = world_model.predict_from(latents, actions, noise, 1)
    assert taken == [16, 16, 3, 3]  # the context and one step of each part
    hook.remove()
    alone = world_model.predict_from(latents[17:18], actions[17:18], noise[17:18], 1)
    assert torch.equal(together[17:18], alone)


def test_how_a_context_lies_in_memory_changes_no_bit_and_no_layout() -> None:
    changing = LatentWorldModel(CONFIG.replace(change_scale=0.5)).eval()
    channels_last = torch.randn(2, 8, 8, 3, generator=generator(1)).permute(0, 3, 1, 2)
    repeated = channels_last[:, None].expand(-1, 4, -1, -1, -1)
    one, other = (
        changing.predict(context, torch.zeros(2, 8, 5), [generator(0), generator(1)], 1)
        for context in (repeated, repeated.contiguous())
    )
    assert one.stride() == other.stride()
    assert torch.equal(changing.decode(one[:, -1]), changing.decode(other[:, -1]))


def test_noise_is_drawn_channel_before_frame(world_model: LatentWorldModel) -> None:
    context = torch.zeros(1, 4, 3, 8, 8)
    actions = torch.zeros(1, 8, 5)
    noise = torch.randn(3, 8, 8, 8, generator=generator(7))[None]
    assert torch.equal(
        world_model.predict(context, actions, [generator(7)], 2),
        world_model.predict_from(context, actions, noise, 2),
    )


def test_noise_on_the_context_is_drawn_after_the_future_s_and_carried_nowhere() -> None:
    changing = LatentWorldModel(CONFIG.replace(change_scale=0.5)).eval()
    with torch.no_grad():
        for parameter in changing.transformer.final_layer.parameters():
            parameter.fill_(0.1)
    noisy = changing.with_context(DreamContext(noise=250.0))
    context = torch.randn(1, 4, 3, 8, 8, generator=generator(1))
    actions = torch.zeros(1, 8, 5)
    drawn = generator(7)
    noise = torch.randn(3, 8, 8, 8, generator=drawn)[None]
    seen = add_noise(context, torch.randn(4, 3, 8, 8, generator=drawn)[None], torch.tensor([250.0]))
    dreamt = noisy.predict(context, actions, [generator(7)], 2)
    # Changes are predicted from the noisy context and added to the clean one.
    expected = changing.predict_from(seen, actions, noise, 2) - seen[:, -1:] + context[:, -1:]
    torch.testing.assert_close(dreamt, expected)
    assert not torch.equal(dreamt, changing.predict(context, actions, [generator(7)], 2))
    usual = changing.with_context(DreamContext())
    assert torch.equal(
        usual.predict(context, actions, [generator(7)], 2),
        changing.predict_from(context, actions, noise, 2),
    )


def test_a_dream_may_be_anchored_where_its_world_model_is_not(
    world_model: LatentWorldModel,
) -> None:
    anchored = world_model.with_context(DreamContext(anchored=True))
    assert anchored.anchored and not world_model.anchored
    assert anchored.transformer is world_model.transformer


def test_the_same_weights_take_other_numbers_of_frames_at_once(
    world_model: LatentWorldModel,
) -> None:
    taken: list[int] = []
    decoder = world_model.autoencoder.kl.decoder
    hook = decoder.register_forward_pre_hook(lambda _, given: taken.append(len(given[0])))
    latents = torch.randn(3, 3, 8, 8)
    frames = world_model.decode(latents)
    one = world_model.with_context(DreamContext(), 1)
    singly = one.decode(latents)
    again = world_model.decode(latents)
    hook.remove()
    assert taken == [4, 1, 1, 1, 4]
    assert (world_model.micro_batch, one.micro_batch) == (4, 1)
    assert torch.equal(frames, again)
    torch.testing.assert_close(frames, singly, rtol=0, atol=1e-5)


def test_wrong_shapes_are_refused_in_one_sentence(world_model: LatentWorldModel) -> None:
    context, actions = torch.zeros(1, 4, 3, 8, 8), torch.zeros(1, 8, 5)
    with pytest.raises(ValueError, match="4 context latents, not 3"):
        world_model.predict(context[:, 1:], actions, [generator(0)], 1)
    with pytest.raises(ValueError, match="chunks of 8 actions of 5 numbers, not 8 of 4"):
        world_model.predict(context, actions[..., 1:], [generator(0)], 1)
    with pytest.raises(ValueError, match="frames of 3 x 32 x 32, not 3 x 16 x 32"):
        world_model.encode(torch.zeros(1, 3, 16, 32), [generator(0)])


def test_parts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="latent_channels 3, not 4"):
        CONFIG.replace(transformer=CONFIG.transformer.replace(in_channels=4))
    with pytest.raises(ValueError, match="multiple of 4, not 30"):
        CONFIG.replace(image_size=30)


def test_a_config_survives_json_and_the_released_size_is_the_published_one() -> None:
    assert WorldModelConfig.from_dict(CONFIG.to_dict()) == CONFIG
    paper = WorldModelConfig.paper()
    assert paper.latent_shape == (4, 32, 32)
    assert paper.transformer.out_channels == 8
