"""Helpers of webtorch.nn: packed sequences, parametrizations, norms of weights, pruning, lazy modules, fused layers."""

import copy
import pickle

import numpy as np
import pytest

import webtorch
from webtorch import engine, nn
from webtorch.backends.wgpu import get_device
from webtorch.errors import ShapeError
from webtorch.nn.utils import parametrizations, parametrize, prune, rnn


def pair(make):
    """The same module here and in PyTorch, with the same weights."""
    torch = pytest.importorskip("torch")
    ours, theirs = make(nn), make(torch.nn)
    theirs.load_state_dict({name: torch.tensor(value.detach().numpy()) for name, value in ours.state_dict().items()})
    return torch, ours, theirs


def same(ours, theirs, tolerance=1e-5):
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=tolerance, atol=tolerance)


# ---- sequences -------------------------------------------------------------------------------------------------------


def test_sequences_go_there_and_back(device):
    sequences = [webtorch.arange(3.0 * n, device=device).reshape(n, 3) for n in (2, 4, 1)]
    for enforce in (False,):
        packed = rnn.pack_sequence(sequences, enforce_sorted=enforce)
        assert packed.batch_sizes.tolist() == [3, 2, 1, 1] and packed.data.shape == (7, 3)
        for one, other in zip(rnn.unpack_sequence(packed), sequences, strict=True):
            assert one.tolist() == other.tolist()
        padded, lengths = rnn.pad_packed_sequence(packed, batch_first=True, padding_value=-1.0, total_length=5)
        assert padded.shape == (3, 5, 3) and lengths.tolist() == [2, 4, 1] and padded[2, 1:].min().item() == -1.0
    left = rnn.pad_sequence(sequences, batch_first=True, padding_value=9.0, padding_side="left")
    assert left[2, :3].flatten().tolist() == [9.0] * 9
    with pytest.raises(ShapeError, match="sorted in decreasing order"):
        rnn.pack_sequence(sequences)
    with pytest.raises(ShapeError, match="greater than 0"):
        rnn.pack_padded_sequence(webtorch.ones(3, 2), [3, 0])


def test_packed_sequences_equal_pytorchs():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal((5, 4, 2)).astype(np.float32)
    lengths = [3, 5, 1, 5]
    ours = rnn.pack_padded_sequence(webtorch.tensor(x), lengths, enforce_sorted=False)
    theirs = torch.nn.utils.rnn.pack_padded_sequence(torch.tensor(x), lengths, enforce_sorted=False)
    assert ours.batch_sizes.tolist() == theirs.batch_sizes.tolist()
    same(ours.data, theirs.data) if ours.sorted_indices.tolist() == theirs.sorted_indices.tolist() else None
    same(rnn.pad_packed_sequence(ours)[0], torch.nn.utils.rnn.pad_packed_sequence(theirs)[0])


def test_recurrent_layers_refuse_what_does_not_fit():
    layer = nn.LSTM(3, 4)
    with pytest.raises(RuntimeError, match="Expected 3, got 2"):
        layer(webtorch.ones(5, 1, 2))
    with pytest.raises(RuntimeError, match=r"Expected hidden\[0\] size \(1, 2, 4\), got \[1, 1, 4\]"):
        layer(webtorch.ones(5, 2, 3), (webtorch.ones(1, 1, 4), webtorch.ones(1, 1, 4)))
    with pytest.raises(RuntimeError, match="unbatched 2-D"):
        layer(webtorch.ones(5, 3), (webtorch.ones(1, 1, 4), webtorch.ones(1, 1, 4)))
    with pytest.raises(ValueError, match="got 4D instead"):
        layer(webtorch.ones(1, 5, 2, 3))
    with pytest.raises(ValueError, match="only supported for LSTM"):
        nn.GRU(3, 4, proj_size=2)
    with pytest.warns(UserWarning, match="dropout option"):
        nn.RNN(3, 4, dropout=0.5)
    layer.flatten_parameters()
    assert [len(own) for own in layer.all_weights] == [4]


def test_dropout_between_layers_and_random_starts():
    layer = nn.GRU(3, 64, 2, dropout=0.5)
    x = webtorch.ones(1, 1, 3)
    assert not webtorch.equal(layer(x)[0], layer(x)[0])
    layer.eval()
    assert webtorch.equal(layer(x)[0], layer(x)[0])
    assert layer.weight_hh_l0.abs().max().item() <= 64**-0.5


@pytest.mark.gpu
def test_a_long_sequence_takes_few_kernels_per_step():
    layer = nn.LSTM(4, 8).to("webgpu")
    x = webtorch.rand(60, 2, 4, device="webgpu", requires_grad=True)
    layer(x)[0].sum().item()
    with webtorch.debug.kernels() as ran:
        layer(x)[0].sum().item()
    # The four gates, the state and what their derivatives need are seven results and four inputs: a kernel, or two.
    per_step = 3 if engine.limits_of(get_device()).max_storage_buffers > 10 else 4
    assert len(ran) <= per_step * 60 + 8


# ---- parametrizations ------------------------------------------------------------------------------------------------


class Symmetric(nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).mT


class Doubled(nn.Module):
    def forward(self, x):
        return 2 * x

    def right_inverse(self, x):
        return x / 2


def test_register_and_remove():
    layer = nn.Linear(3, 3)
    first = layer.weight.detach().clone()
    parametrize.register_parametrization(layer, "weight", Symmetric())
    assert type(layer).__name__ == "ParametrizedLinear" and isinstance(layer, nn.Linear)
    assert parametrize.is_parametrized(layer) and not parametrize.is_parametrized(layer, "bias")
    assert parametrize.type_before_parametrizations(layer) is nn.Linear
    assert list(layer.state_dict()) == ["bias", "parametrizations.weight.original"]
    assert webtorch.equal(layer.weight, layer.weight.mT)
    layer(webtorch.ones(1, 3)).sum().backward()
    assert layer.parametrizations.weight.original.grad is not None
    parametrize.register_parametrization(layer, "weight", Doubled())
    assert len(layer.parametrizations.weight) == 2
    replica = copy.deepcopy(layer)
    assert webtorch.equal(replica.weight, layer.weight)
    with pytest.raises(RuntimeError, match="state_dict"):
        pickle.dumps(layer)
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    assert type(layer) is nn.Linear and not hasattr(layer, "parametrizations")
    assert webtorch.equal(layer.weight, replica.parametrizations.weight.original) and isinstance(
        layer.weight, nn.Parameter
    )
    assert first.shape == layer.weight.shape


def test_assignment_goes_through_the_right_inverse():
    layer = nn.Linear(2, 2)
    before = layer.weight.detach().clone()
    parametrize.register_parametrization(layer, "weight", Doubled())
    assert webtorch.allclose(layer.weight, before)
    layer.weight = webtorch.ones(2, 2)
    assert layer.parametrizations.weight.original.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    with parametrize.cached():
        assert layer.weight is layer.weight
    assert layer.weight is not layer.weight
    with pytest.raises(ValueError, match="may not change the shape"):
        parametrize.register_parametrization(nn.Linear(2, 3), "weight", Flattened())
    with pytest.raises(ValueError, match="does not have a parameter"):
        parametrize.register_parametrization(nn.Linear(2, 3), "nothing", Doubled())


class Flattened(nn.Module):
    def forward(self, x):
        return x.flatten()


@pytest.mark.parametrize("dim", [0, 1, None])
def test_weight_norm_is_pytorchs(dim):
    def make(lib):
        utils = webtorch.nn.utils if lib is nn else __import__("torch").nn.utils
        return utils.parametrizations.weight_norm(lib.Linear(4, 3), dim=dim)

    torch, ours, theirs = pair(make)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x = np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)
    a, b = ours(webtorch.tensor(x)), theirs(torch.tensor(x))
    same(a, b)
    (a**2).sum().backward()
    (b**2).sum().backward()
    for (_, one), (_, other) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        same(one.grad, other.grad, 1e-4)
    old = nn.utils.weight_norm(nn.Linear(4, 3), dim=dim)
    assert sorted(old.state_dict()) == ["bias", "weight_g", "weight_v"]
    ours.load_state_dict(old.state_dict())
    same(ours(webtorch.tensor(x)), old(webtorch.tensor(x)))
    plain = nn.utils.remove_weight_norm(old)
    assert sorted(plain.state_dict()) == ["bias", "weight"]
    same(ours(webtorch.tensor(x)), plain(webtorch.tensor(x)))


@pytest.mark.parametrize("old", [True, False])
def test_spectral_norm_is_pytorchs(old):
    def make(lib):
        utils = webtorch.nn.utils if lib is nn else __import__("torch").nn.utils
        return (utils if old else utils.parametrizations).spectral_norm(lib.Conv2d(2, 4, 3))

    torch, ours, theirs = pair(make)
    assert sorted(ours.state_dict()) == sorted(theirs.state_dict())
    x = np.random.default_rng(0).standard_normal((1, 2, 5, 5)).astype(np.float32)
    for _ in range(3):
        a, b = ours(webtorch.tensor(x)), theirs(torch.tensor(x))
        same(a, b, 1e-4)
    (a**2).sum().backward()
    (b**2).sum().backward()
    for (_, one), (_, other) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        same(one.grad, other.grad, 2e-3)
    ours.eval()
    for _ in range(100):
        ours.train()(webtorch.tensor(x))
    weight = ours.eval().weight.detach().numpy().reshape(4, -1)
    assert abs(np.linalg.svd(weight)[1][0] - 1) < 1e-3
    if old:
        assert sorted(nn.utils.remove_spectral_norm(ours).state_dict()) == ["bias", "weight"]


@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (3, 5)], ids=str)
@pytest.mark.parametrize("kind", [None, "matrix_exp", "householder"])
@pytest.mark.parametrize("trivial", [True, False])
def test_orthogonal(shape, kind, trivial):
    layer = parametrizations.orthogonal(nn.Linear(*shape[::-1]), orthogonal_map=kind, use_trivialization=trivial)

    def check():
        weight = layer.weight.detach().numpy().astype(np.float64)
        product = weight @ weight.T if shape[0] < shape[1] else weight.T @ weight
        np.testing.assert_allclose(product, np.eye(min(shape)), atol=2e-5)

    check()
    optimizer = webtorch.optim.SGD(layer.parameters(), lr=0.3)
    before = layer.weight.detach().clone()
    (layer(webtorch.rand(4, shape[1])) ** 3).sum().backward()
    optimizer.step()
    check()
    assert not webtorch.allclose(before, layer.weight)


def test_orthogonal_weights_carry_over_from_pytorch():
    torch = pytest.importorskip("torch")
    for shape in ((3, 3), (3, 5), (5, 3)):
        for kind in ("matrix_exp", "householder"):
            theirs = torch.nn.utils.parametrizations.orthogonal(torch.nn.Linear(*shape), orthogonal_map=kind)
            ours = parametrizations.orthogonal(nn.Linear(*shape), orthogonal_map=kind)
            with torch.no_grad():
                theirs.parametrizations.weight.original += 0.1
                if kind == "householder":
                    theirs.parametrizations.weight.original.diagonal().sub_(0.1)
            ours.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
            same(ours.weight, theirs.weight, 1e-5)


# ---- pruning ---------------------------------------------------------------------------------------------------------


def test_pruning_as_pytorch():
    torch, ours, theirs = pair(lambda lib: lib.Linear(5, 4))
    theirs_prune = __import__("torch.nn.utils.prune").nn.utils.prune
    for library, layer in ((prune, ours), (theirs_prune, theirs)):
        library.l1_unstructured(layer, "weight", amount=0.3)
        library.ln_structured(layer, "weight", amount=1, n=2, dim=0)
        library.l1_unstructured(layer, "bias", amount=2)
    assert sorted(ours.state_dict()) == sorted(theirs.state_dict())
    for name, value in theirs.state_dict().items():
        same(ours.state_dict()[name], value)
    assert len(next(iter(ours._forward_pre_hooks.values()))[0]) == 2 and prune.is_pruned(ours)
    ours(webtorch.ones(1, 5)).sum().backward()
    assert (ours.weight_orig.grad.numpy()[ours.weight_mask.numpy() == 0] == 0).all()
    prune.remove(ours, "weight")
    theirs_prune.remove(theirs, "weight")
    same(ours.weight, theirs.weight)
    assert isinstance(ours.weight, nn.Parameter) and "weight_mask" not in ours.state_dict()


def test_global_random_and_custom_pruning():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    prune.global_unstructured([(model[0], "weight"), (model[1], "weight")], prune.L1Unstructured, amount=6)
    zeros = sum(int((layer.weight == 0).sum().item()) for layer in model)
    assert zeros == 6
    layer = prune.random_unstructured(nn.Linear(4, 4), "weight", 0.5)
    assert int((layer.weight == 0).sum().item()) == 8
    layer = prune.random_structured(nn.Linear(4, 4), "weight", 2, dim=1)
    assert int((layer.weight.abs().sum(0) == 0).sum().item()) == 2
    layer = prune.custom_from_mask(nn.Linear(2, 1), "weight", webtorch.tensor([[0.0, 1.0]]))
    assert layer.weight[0, 0].item() == 0.0
    with pytest.raises(ValueError, match="has to be pruned before"):
        prune.remove(nn.Linear(2, 2), "weight")
    with pytest.raises(ValueError, match="amount"):
        prune.l1_unstructured(nn.Linear(2, 2), "weight", 1.5)


# ---- modules that come to be later, or together ------------------------------------------------------------------------


def test_lazy_modules():
    model = nn.Sequential(nn.LazyConv2d(4, 3, groups=2), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(3))
    assert model[3].has_uninitialized_params() and "LazyLinear(in_features=0, out_features=3, bias=True)" in repr(model)
    with pytest.raises(RuntimeError, match="uninitialized"):
        _ = model[3].weight.shape
    replica = copy.deepcopy(model)
    assert model(webtorch.rand(2, 6, 5, 5)).shape == (2, 3)
    assert [type(one) for one in model] == [nn.Conv2d, nn.BatchNorm2d, nn.Flatten, nn.Linear]
    assert model[0].weight.shape == (4, 3, 3, 3) and model[3].in_features == 36
    assert 0 < model[3].weight.abs().max().item() <= 1 / 6 and isinstance(model[3].weight, nn.Parameter)
    replica.load_state_dict(model.state_dict())
    replica.train(False)(webtorch.rand(2, 6, 5, 5))
    assert webtorch.equal(replica[3].weight, model[3].weight)
    for kind, shape in (("LazyConvTranspose1d", (1, 4, 5)), ("LazyConv3d", (1, 2, 3, 3, 3)), ("LazyConv1d", (2, 5))):
        getattr(nn, kind)(2, 2)(webtorch.rand(*shape))
    assert nn.LazyInstanceNorm1d(affine=True)(webtorch.rand(2, 3, 4)).shape == (2, 3, 4)


def test_fusion_in_evaluation():
    for conv, shape, transposed in (
        (nn.Conv1d(2, 3, 2, bias=False), (1, 2, 6), False),
        (nn.ConvTranspose2d(2, 3, 2), (1, 2, 4, 4), True),
    ):
        norm = nn.BatchNorm1d(3) if len(shape) == 3 else nn.BatchNorm2d(3)
        with webtorch.no_grad():
            norm.running_mean.uniform_()
            norm.running_var.uniform_(0.5, 2)
            norm.weight.uniform_()
        x = webtorch.rand(*shape)
        expected = norm.eval()(conv.eval()(x))
        assert webtorch.allclose(nn.utils.fuse_conv_bn_eval(conv, norm, transposed)(x), expected, atol=1e-5)
    with pytest.raises(AssertionError, match="eval"):
        nn.utils.fuse_linear_bn_eval(nn.Linear(2, 3), nn.BatchNorm1d(3))


def test_places_that_programs_import_from():
    from webtorch.nn.parameter import Parameter
    from webtorch.nn.utils.clip_grad import clip_grad_norm_
    from webtorch.nn.utils.convert_parameters import parameters_to_vector
    from webtorch.nn.utils.spectral_norm import spectral_norm
    from webtorch.nn.utils.weight_norm import weight_norm

    assert Parameter is nn.Parameter and clip_grad_norm_ is nn.utils.clip_grad_norm_
    assert parameters_to_vector is nn.utils.parameters_to_vector
    assert weight_norm is nn.utils.weight_norm and spectral_norm is nn.utils.spectral_norm
    assert webtorch.norm_except_dim(webtorch.ones(2, 4)).tolist() == [[2.0], [2.0]]


def test_small_things():
    layer = nn.utils.skip_init(nn.Linear, 3, 2)
    assert layer.weight.device.type == webtorch.get_default_device().type
    x = webtorch.ones(1, 3)
    weights = {"weight": webtorch.ones(2, 3), "bias": webtorch.zeros(2)}
    assert nn.utils.stateless.functional_call(layer, weights, x).tolist() == [[3.0, 3.0]]
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()))
    assert type(converted[0]) is nn.SyncBatchNorm
    assert nn.parallel.DistributedDataParallel(layer)(x).shape == (1, 2)
    from webtorch.nn.modules.batchnorm import _BatchNorm
    from webtorch.nn.modules.linear import NonDynamicallyQuantizableLinear

    assert isinstance(converted[0], _BatchNorm) and issubclass(NonDynamicallyQuantizableLinear, nn.Linear)
    with pytest.raises(ShapeError) as caught:
        nn.functional.embedding_bag(webtorch.tensor([1]), webtorch.ones(3, 2))
    assert caught.value.code == "embedding_bag_error_requires_2d_input"
    with pytest.warns(FutureWarning, match="deprecated"):
        nn.init.uniform(webtorch.empty(2))
    assert webtorch.conv2d(webtorch.ones(1, 1, 3, 3), webtorch.ones(1, 1, 2, 2)).shape == (1, 1, 2, 2)


def test_gradients_of_bags_are_shared_out_by_frequency(device):
    """As PyTorch documents it; its CPU kernel divides by the count of another row."""
    table = webtorch.ones(4, 1, device=device, requires_grad=True)
    bags = webtorch.tensor([[0, 0, 1], [0, 1, 2]], device=device)
    nn.functional.embedding_bag(bags, table, mode="sum", scale_grad_by_freq=True).sum().backward()
    np.testing.assert_allclose(table.grad.numpy()[:, 0], [1, 1, 1, 0], rtol=1e-6)


# ---- Module ----------------------------------------------------------------------------------------------------------


def test_hooks_of_all_modules_and_old_backward_hooks():
    from webtorch.nn.modules.module import register_module_forward_hook, register_module_full_backward_hook

    seen = []
    handles = [
        register_module_forward_hook(lambda module, args, output: seen.append(type(module).__name__)),
        register_module_full_backward_hook(
            lambda module, grad_input, grad_output: seen.append("back " + type(module).__name__)
        ),
    ]
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    model(webtorch.ones(1, 2, requires_grad=True)).sum().backward()
    for handle in handles:
        handle.remove()
    assert seen == ["Linear", "ReLU", "Sequential", "back ReLU", "back Linear", "back Sequential"] or sorted(
        seen
    ) == sorted(["Linear", "ReLU", "Sequential", "back ReLU", "back Linear", "back Sequential"])
    model(webtorch.ones(1, 2))
    assert len(seen) == 6
    layer, calls = nn.Tanh(), []
    layer.register_backward_hook(
        lambda module, grad_input, grad_output: calls.append((grad_input[0].item(), grad_output[0].item()))
    )
    layer(webtorch.zeros((), requires_grad=True)).mul(3.0).backward()
    assert calls == [(3.0, 3.0)]
    with pytest.raises(RuntimeError, match="only one of them"):
        layer.register_full_backward_hook(print)


def test_module_odds_and_ends():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    model.set_submodule("1", nn.Tanh())
    assert type(model[1]) is nn.Tanh and model.get_submodule("1") is model[1]
    with pytest.raises(AttributeError):
        model.set_submodule("7", nn.Tanh(), strict=True)
    model.compile()
    assert model.share_memory() is model and next(model.bfloat16().parameters()).dtype is webtorch.bfloat16
    called = []
    model.register_load_state_dict_pre_hook(
        lambda module, state, prefix, *rest: called.append((module is model, prefix))
    )
    model.load_state_dict(model.state_dict())
    assert called == [(True, "")]
