"""The declared variants of the world model: what each adds, and that none is on by itself."""

import pytest
import torch

from engine.protocols import WorldModel
from engine.seeding import generator, randn, row_generators
from engine.world_model.conditions import Conditions
from engine.world_model.flow import training_loss
from engine.world_model.memory import Memory, MemorySizes
from engine.world_model.model import LatentWorldModel, WorldModelConfig
from engine.world_model.states import StateModel
from engine.world_model.transformer import STDiT, TransformerConfig
from tests.engine.state_models import CONFIG, SIZES, STATES, TRANSFORMER, stir, varied_world_model

ROWS = [(start, member) for start in range(4) for member in range(2)]


@pytest.fixture(scope="module")
def world_model() -> LatentWorldModel:
    return varied_world_model()


def test_no_variant_is_on_by_itself() -> None:
    usual = WorldModelConfig()
    assert usual.transformer.is_published and WorldModelConfig.paper().transformer.is_published
    assert usual.memory_sizes is None and not usual.deterministic and not usual.states.moving
    model = LatentWorldModel(usual)
    assert model.state_model is None
    names = set(model.state_dict())
    assert not [n for n in names if n.startswith(("transformer.stem", "transformer.head", "state"))]
    assert model.begin(torch.zeros(2, *usual.latent_shape)).shape == (2, 0)


def test_a_row_of_two_chunks_is_the_same_alone_and_in_a_batch(
    world_model: LatentWorldModel,
) -> None:
    assert isinstance(world_model, WorldModel)

    def dream(rows: list[tuple[int, int]]) -> list[torch.Tensor]:
        inputs = row_generators(0, "input", rows=rows)
        frames = randn((3, 32, 32), inputs).clamp(-1, 1)
        actions = randn((16, 4), inputs).clamp(-1, 1)
        start = world_model.encode(frames, row_generators(0, "encode", rows=rows))
        context, memory = start[:, None].expand(-1, 4, -1, -1, -1), world_model.begin(start)
        parts = [memory]
        for number, chunk in enumerate(actions.split(8, dim=1)):
            noise = row_generators(0, "world model", number, rows=rows)
            future = world_model.predict(context, chunk, noise, 2, memory)
            context, memory = future[:, -4:], world_model.remember(memory, chunk)
            parts += [future, memory]
        return parts

    together = dream(ROWS)
    for part in (slice(0, 1), slice(3, 4), slice(2, 5), slice(5, 8)):
        for whole, alone in zip(together, dream(ROWS[part]), strict=True):
            assert torch.equal(whole[part], alone)


def test_a_dream_without_its_memory_is_refused(world_model: LatentWorldModel) -> None:
    latents, actions = torch.zeros(1, 4, 3, 8, 8), torch.zeros(1, 8, 4)
    with pytest.raises(ValueError, match="begin it with `begin`"):
        world_model.predict(latents, actions, [generator(0)], 1)
    with pytest.raises(ValueError, match="remembers 47 numbers of a dream, not 3"):
        world_model.predict(latents, actions, [generator(0)], 1, torch.zeros(1, 3))


def test_what_is_remembered_decides_the_future(world_model: LatentWorldModel) -> None:
    latents, actions = torch.zeros(1, 4, 3, 8, 8), torch.zeros(1, 8, 4)
    begun = world_model.begin(latents[:, 0])
    later = world_model.remember(begun, torch.ones(1, 8, 4))
    assert not torch.equal(begun, later)
    one, two = (world_model.predict(latents, actions, [generator(0)], 1, m) for m in (begun, later))
    assert not torch.allclose(one, two)


def test_memory_slides_over_a_chunk_and_survives_packing() -> None:
    sizes = MemorySizes(context_frames=2, moving=1, fixed=1, action_dim=1)
    assert sizes.numbers == 2 * 3 + 1
    start = Memory(
        states=torch.tensor([[[1.0], [2.0]]]),
        fixed=torch.tensor([[9.0]]),
        actions=torch.zeros(1, 2, 1),
        known=torch.zeros(1, 2),
    )
    one = start.later(torch.tensor([[[3.0]]]), torch.tensor([[[0.5]]]))
    again = Memory.unpack(one.pack(), sizes)
    assert again.states.flatten().tolist() == [2.0, 3.0]
    assert again.actions.flatten().tolist() == [0.0, 0.5]
    assert again.known.tolist() == [[0.0, 1.0]] and again.fixed.tolist() == [[9.0]]


def test_a_frame_is_told_its_action_the_sum_so_far_its_number_and_its_state() -> None:
    config = TransformerConfig(
        hidden_size=32, num_heads=2, depth=1, action_dim=1, chunk_size=3,
        cumulative_actions=True, context_actions=True, state_features=1,
    )  # fmt: skip
    assert config.frame_features == 1 + 1 + 3 + 1
    transformer = STDiT(config)
    told: list[torch.Tensor] = []
    transformer.action_embedder.register_forward_hook(lambda _, given, __: told.append(given[0]))
    conditions = Conditions(
        past_actions=torch.tensor([[[5.0], [7.0]]]),
        known=torch.tensor([[0.0, 1.0]]),
        past_states=torch.tensor([[[0.1], [0.2]]]),
        states=torch.tensor([[[0.3], [0.4], [0.5]]]),
    )
    transformer.embed_actions(torch.tensor([[[1.0], [2.0], [-1.0]]]), conditions)
    transformer._embed_past(conditions)
    assert told[0][0].tolist() == [
        [1.0, 0.25, 1.0, 0.0, 0.0, pytest.approx(0.3)],
        [2.0, 0.75, 0.0, 1.0, 0.0, pytest.approx(0.4)],
        [-1.0, 0.5, 0.0, 0.0, 1.0, 0.5],
    ]
    assert told[1][0].tolist() == [
        [0.0] * 5 + [pytest.approx(0.1)],  # nothing led to the first frame
        [7.0, 0.0, 0.0, 0.0, 0.0, pytest.approx(0.2)],
    ]


def test_the_published_forward_pass_refuses_variants() -> None:
    x, time = torch.zeros(1, 3, 12, 8, 8), torch.zeros(1)
    with pytest.raises(ValueError, match="only the published network"):
        STDiT(TRANSFORMER)(x, time, torch.zeros(1, 8, 4), torch.ones(1, 12, dtype=bool), 32, 32)


def test_a_new_network_with_convolutions_predicts_no_velocity() -> None:
    transformer = STDiT(TRANSFORMER)
    cache = transformer.context(torch.randn(1, 3, 4, 8, 8), 32, 32)
    embedded = transformer.embed_actions(torch.zeros(1, 8, 4))
    moments = transformer.embed_times(torch.ones(1))
    velocity = transformer.denoise(cache, torch.randn(1, 3, 8, 8, 8), moments, embedded)
    assert velocity.abs().max() == 0
    stir(transformer)
    assert transformer.denoise(cache, torch.zeros(1, 3, 8, 8, 8), moments, embedded).any()


def test_convolutions_see_the_neighbours_of_a_latent() -> None:
    transformer = STDiT(TRANSFORMER)
    assert transformer.stem is not None
    still = torch.zeros(1, 3, 1, 8, 8)
    moved = still.clone()
    moved[..., 3, 3] = 1.0
    seen = transformer.stem(moved, still)[0] - transformer.stem(still, still)[0]
    rows, columns = seen.abs().sum(dim=(0, 1)).nonzero(as_tuple=True)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (1, 5, 1, 5)


def test_states_are_painted_where_latents_are() -> None:
    transformer = STDiT(TRANSFORMER)
    assert transformer.painter is not None and transformer.stem is not None
    with torch.no_grad():
        transformer.painter.layers[2].weight.zero_()
        transformer.painter.layers[2].bias.copy_(torch.arange(8.0 * 64))
    maps = transformer.painter(torch.zeros(1, 2, STATES.num_features))
    assert maps.shape == (1, 8, 2, 8, 8)
    assert maps[0, 3, 1, 2].tolist() == [3 * 64 + 2 * 8.0 + x for x in range(8)]
    still = torch.zeros(1, 3, 2, 8, 8)
    seen = [transformer.stem(still, still[:, :, :1], m)[0] for m in (None, maps)]
    assert not torch.allclose(*seen)
    with pytest.raises(ValueError, match="state_map must be 8 or 0, not 4"):
        CONFIG.replace(transformer=TRANSFORMER.replace(state_map=4))


def test_the_deterministic_case_draws_nothing_and_takes_one_step() -> None:
    model = varied_world_model(deterministic=True)
    latents, actions = torch.randn(1, 4, 3, 8, 8), torch.zeros(1, 8, 4)
    memory = model.begin(latents[:, -1])
    futures = [
        model.predict(latents, actions, [generator(seed)], steps, memory)
        for seed, steps in ((0, 1), (1, 7))
    ]
    assert torch.equal(*futures)


def test_its_loss_is_the_mean_square_error_of_the_future() -> None:
    transformer = STDiT(TransformerConfig(hidden_size=32, depth=1, num_heads=2, in_channels=3))
    latents = torch.randn(2, 3, 12, 8, 8)
    noise, times = torch.randn_like(latents), torch.rand(2) * 1000
    arguments = latents, torch.zeros(2, 8, 4), noise, times, 32, 32
    loss = training_loss(transformer, *arguments, deterministic=True)
    # A new network predicts zero, and there is no noise in the target.
    assert torch.allclose(loss, latents[:, :, 4:].square().flatten(1).mean(dim=1))


def test_a_chain_that_foresees_no_change_stays_and_one_that_does_goes_on() -> None:
    model = StateModel(STATES, SIZES)
    start = torch.arange(9.0)[None]
    actions = torch.ones(1, 16, 4)
    assert torch.equal(model.chain(0, start, actions), start[:, None, :6].expand(1, 17, 6))
    last = model.members[1].layers[-1]
    with torch.no_grad():
        last.bias.view(8, 6)[:, 0] = torch.arange(1.0, 9.0)
    model.change[0] = 0.5
    x = model.chain(1, start, actions)[0, :, 0].tolist()
    assert x == [0.5 * step for step in range(17)]


def test_states_are_read_in_metres_and_told_in_waves() -> None:
    model = StateModel(STATES, SIZES)
    model.mean.copy_(torch.arange(9.0))
    model.deviation.fill_(2.0)
    with torch.no_grad():
        model.readout.say[-1].weight.zero_()
        model.readout.say[-1].bias.fill_(0.5)
    assert model.read(torch.zeros(1, 3, 8, 8)).tolist() == [[x + 1.0 for x in range(9)]]
    u = torch.full((6,), 0.5)
    told = model.features((torch.arange(6.0) + 1.0)[None, None])[0, 0]
    expected = torch.cat([u, (2 * u).sin(), (2 * u).cos(), (4 * u).sin()])
    assert torch.allclose(told, expected) and STATES.num_features == len(told)


def test_a_state_model_and_its_transformer_must_agree() -> None:
    with pytest.raises(ValueError, match="state_features must be 0 with this state model"):
        WorldModelConfig(transformer=TransformerConfig(context_actions=True, state_features=24))
    with pytest.raises(ValueError, match="needs context_actions"):
        TransformerConfig(state_features=24)
    assert WorldModelConfig.from_dict(CONFIG.to_dict()) == CONFIG
