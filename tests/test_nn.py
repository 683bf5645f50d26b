"""Modules and their functions: values and gradients against PyTorch's, and the behaviour of `Module` itself."""

import copy
import pickle

import nn_cases
import numpy as np
import pytest
from nn_cases import CASES, compute, key_of

import webtorch
from webtorch import nn
from webtorch.autograd import gradcheck, gradgradcheck
from webtorch.errors import DTypeError, ShapeError
from webtorch.nn import functional as F

IDS = [key_of(text, case).replace(" ", "") for text, case in CASES]


@pytest.fixture(scope="module")
def goldens():
    with np.load(nn_cases.GOLDENS) as arrays:
        found: dict = {}
        for key in arrays.files:
            case, _, name = key.rpartition(": ")
            found.setdefault(case, {})[name] = arrays[key]
    return found


def agree(got, expected):
    assert sorted(got) == sorted(expected)
    for name, array in expected.items():
        assert got[name].shape == array.shape, name
        assert got[name].dtype == array.dtype, name
        # Where large terms cancel, either side is off by roundings of those.
        largest = float(np.max(np.abs(array), initial=0.0)) if array.dtype.kind in "fc" else 0.0
        np.testing.assert_allclose(got[name], array, rtol=2e-4, atol=2e-5 + 1e-6 * largest, err_msg=name)


# ---- against PyTorch -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "case"), CASES, ids=IDS)
def test_values_and_gradients_are_pytorchs(text, case, device, goldens):
    got = compute(
        webtorch, text, case, lambda array: webtorch.tensor(array, device=device), lambda module: module.to(device)
    )
    agree(got, goldens[key_of(text, case)])


@pytest.mark.parametrize(("text", "case"), CASES, ids=IDS)
def test_the_recorded_values_are_pytorchs(text, case, goldens):
    torch = pytest.importorskip("torch")
    agree(compute(torch, text, case, torch.tensor, lambda module: module), goldens[key_of(text, case)])


def test_every_recorded_case_is_tested(goldens):
    assert sorted(goldens) == sorted(key_of(text, case) for text, case in CASES)


def test_weights_carry_over_from_pytorch():
    torch = pytest.importorskip("torch")

    def network(library):
        layers = library.nn
        return layers.Sequential(
            layers.Conv2d(1, 4, 3), layers.BatchNorm2d(4), layers.ReLU(), layers.Flatten(), layers.Linear(64, 3)
        )

    theirs, ours = network(torch), network(webtorch)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = np.random.default_rng(0).standard_normal((2, 1, 6, 6)).astype(np.float32)
    np.testing.assert_allclose(
        ours.eval()(webtorch.tensor(x)).detach().numpy(),
        theirs.eval()(torch.tensor(x)).detach().numpy(),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize(
    "text",
    [
        "Linear(3, 4, bias=False)", "Conv2d(4, 6, 3, stride=2, padding='same' and 1, groups=2)", "Conv1d(2, 4, 5, padding='same')",
        "ConvTranspose2d(2, 3, 2, output_padding=0, stride=2)", "MaxPool2d(2)", "AvgPool2d(3, 1)", "AdaptiveAvgPool2d((1, 2))",
        "BatchNorm2d(3)", "LayerNorm(4)", "LayerNorm(4, elementwise_affine=False)", "RMSNorm(4)", "GroupNorm(2, 4)", "Embedding(3, 4, 0)",
        "Dropout(0.1)", "ReLU(inplace=True)", "ReLU()", "GELU()", "Softmax(1)", "ELU()", "LeakyReLU(0.2)", "Flatten()", "PReLU()",
        "Unflatten(1, (2, 3))", "CrossEntropyLoss()", "MSELoss()", "Hardtanh()", "Softshrink()", "Identity()", "InstanceNorm2d(3)",
        "Sequential(Linear(2, 3), Sequential(ReLU(), Tanh()))", "ModuleList([Linear(2, 2), Linear(2, 2), ReLU()])",
        "ModuleDict({'a': ReLU(), 'b': Linear(1, 2)})", "MultiheadAttention(4, 2)",
        "RNN(3, 4, 2, nonlinearity='relu')", "LSTM(3, 4, proj_size=2, bidirectional=True, batch_first=True)", "GRU(3, 4, bias=False)",
        "LSTMCell(3, 4)", "RNNCell(3, 4, bias=False, nonlinearity='relu')", "TransformerDecoderLayer(4, 2, 8)",
        "Transformer(4, 2, 1, 1, 8)",
        "Bilinear(2, 3, 4)", "ZeroPad2d(1)", "Threshold(0.1, 2.0)",
    ],
)  # fmt: skip
def test_modules_print_as_pytorchs(text):
    torch = pytest.importorskip("torch")
    ours = repr(eval(text, vars(nn).copy()))
    theirs = repr(eval(text, vars(torch.nn).copy()))
    assert ours == theirs


@pytest.mark.parametrize("name", ["kaiming_uniform_", "kaiming_normal_", "xavier_uniform_", "xavier_normal_"])
def test_initial_values_have_the_stated_spread(name):
    torch = pytest.importorskip("torch")
    shape = (60, 20, 3, 3)
    ours = getattr(nn.init, name)(webtorch.empty(shape)).numpy()
    theirs = getattr(torch.nn.init, name)(torch.empty(shape)).numpy()
    assert abs(ours.std() / theirs.std() - 1) < 0.05
    assert abs(abs(ours).max() / abs(theirs).max() - 1) < 0.4


def test_default_initial_values_lie_within_pytorchs_bounds():
    for layer, fan_in in ((nn.Linear(50, 40), 50), (nn.Conv2d(5, 40, 3), 45)):
        for parameter in layer.parameters():
            values = abs(parameter.detach().numpy())
            assert 0.9 * fan_in**-0.5 < values.max() <= fan_in**-0.5


# ---- derivatives of the rows -----------------------------------------------------------------------------------------


def double(*shape, seed=0):
    return webtorch.tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"stride": 2, "padding": 1},
        {"dilation": (1, 2), "padding": "same"},
        {"groups": 2, "stride": (2, 1), "padding": (0, 2)},
    ],
    ids=str,
)
def test_convolution_gradients(settings):
    x, w, b = double(2, 4, 5, 4), double(4, 4 // settings.get("groups", 1), 3, 2, seed=1), double(4, seed=2)

    def call(x, w, b):
        return F.conv2d(x, w, b, **settings)

    assert gradcheck(call, (x, w, b))
    assert gradgradcheck(call, (x, w, b))


def test_transposed_convolution_gradients():
    x, w = double(2, 4, 3, 4), double(4, 2, 3, 2, seed=1)

    def call(x, w):
        return F.conv_transpose2d(x, w, stride=2, padding=1, output_padding=1, groups=2, dilation=(1, 2))

    assert gradcheck(call, (x, w))
    assert gradgradcheck(call, (x, w))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: F.max_pool2d(x, 2),
        lambda x: F.max_pool2d(x, 3, 2, 1),
        lambda x: F.max_pool2d(x, (2, 3), 1, (1, 1), (2, 1)),
        lambda x: F.avg_pool2d(x, 3, 2, 1),
        lambda x: F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False),
        lambda x: F.adaptive_avg_pool2d(x, (2, 3)),
        lambda x: F.adaptive_max_pool2d(x, (2, 3)),
        lambda x: F.layer_norm(x, (5, 4)),
        lambda x: F.group_norm(x, 2),
        lambda x: F.batch_norm(x, None, None, training=True),
        lambda x: F.pad(x, (1, 2, -1, 3)),
        lambda x: F.pad(x, (1, 2, 1, 3), "reflect"),
        lambda x: F.rms_norm(x, (4,)),
        lambda x: F.scaled_dot_product_attention(x, x * 2, x * 0.3),
        lambda x: F.cross_entropy(x, webtorch.zeros(2, 5, 4, dtype=webtorch.int64), label_smoothing=0.1),
        lambda x: F.linear(x, x[0, 0]),
    ],
    ids=range(16),
)
def test_gradients_of_functions(call):
    x = double(2, 4, 5, 4)
    assert gradcheck(call, (x,))
    assert gradgradcheck(call, (x,))


def test_gradients_of_a_linear_map():
    x, w = double(2, 3, 4), double(5, 4, seed=1)
    assert gradcheck(F.linear, (x, w))
    assert gradgradcheck(F.linear, (x, w))


@pytest.mark.gpu
@pytest.mark.parametrize(
    "call",
    [
        lambda x, w: F.conv2d(x, w, stride=2, padding=1),
        lambda x, w: F.conv_transpose2d(x, w.transpose(0, 1), stride=2, padding=1),
        lambda x, w: F.max_pool2d(x.square(), 3, 2, 1) * w.sum(),
        lambda x, w: F.avg_pool2d(x.square(), 3, 2, 1) * w.sum(),
        lambda x, w: F.linear(x.square(), w.reshape(9, 6, 4)[0, :, :].square()),
        lambda x, w: F.cross_entropy(x * w.sum(), webtorch.zeros(2, 5, 4, dtype=webtorch.int32, device=x.device)),
    ],
    ids=["convolution", "transposed", "maximum", "average", "linear", "cross-entropy"],
)
def test_second_derivatives_on_webgpu(call):
    rng = np.random.default_rng(3)
    arrays = rng.standard_normal((2, 6, 5, 4)).astype(np.float32), rng.standard_normal((4, 6, 3, 3)).astype(np.float32)
    found = []
    for device in ("cpu", "webgpu"):
        x, w = (webtorch.tensor(array, device=device, requires_grad=True) for array in arrays)
        first = webtorch.autograd.grad(call(x, w).square().sum(), (x, w), create_graph=True)
        second = webtorch.autograd.grad(sum(value.square().sum() for value in first), (x, w))
        found.append([nn_cases.as_array(value) for value in (*first, *second)])
    for expected, got in zip(*found, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-5 * abs(expected).max())


@pytest.mark.gpu
def test_convolution_gradients_that_are_shared_out_among_images():
    """More products per weight than one invocation adds up: the sum is split."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((6, 3, 24, 24)).astype(np.float32), rng.standard_normal((4, 3, 3, 3)).astype(np.float32)
    gradients = []
    for device in ("cpu", "webgpu"):
        weight = webtorch.tensor(w, device=device, requires_grad=True)
        F.conv2d(webtorch.tensor(x, device=device), weight, padding=1).square().sum().backward()
        gradients.append(weight.grad.cpu().numpy())
    np.testing.assert_allclose(gradients[1], gradients[0], rtol=1e-3, atol=1e-2)


# ---- Module ----------------------------------------------------------------------------------------------------------


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 3)
        self.second = nn.Sequential(nn.ReLU(), nn.Linear(3, 1))
        self.scale = nn.Parameter(webtorch.ones(1))
        self.register_buffer("seen", webtorch.zeros(1))
        self.register_buffer("scratch", webtorch.zeros(1), persistent=False)
        self.plain = 5

    def forward(self, x):
        return self.second(self.first(x)) * self.scale


def test_names_of_parameters_buffers_and_modules():
    model = Small()
    assert [name for name, _ in model.named_parameters()] == [
        "scale",
        "first.weight",
        "first.bias",
        "second.1.weight",
        "second.1.bias",
    ]
    assert [name for name, _ in model.named_buffers()] == ["seen", "scratch"]
    assert list(model.state_dict()) == [
        "scale",
        "seen",
        "first.weight",
        "first.bias",
        "second.1.weight",
        "second.1.bias",
    ]
    assert [name for name, _ in model.named_modules()] == ["", "first", "second", "second.0", "second.1"]
    assert [name for name, _ in model.named_children()] == ["first", "second"]
    assert model.get_parameter("second.1.bias") is model.second[1].bias
    assert model.get_submodule("second.1") is model.second[1]
    assert model.get_buffer("seen") is model.seen


def test_a_shared_parameter_comes_once():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    assert len(list(model.parameters())) == 3
    assert len(list(model.named_parameters(remove_duplicate=False))) == 4
    assert "1.weight" in model.state_dict()


def test_attributes_follow_the_rules():
    model = Small()
    with pytest.raises(TypeError, match="cannot assign 'webtorch.Tensor' as parameter 'scale'"):
        model.scale = webtorch.zeros(1)
    model.scale = None
    assert "scale" not in dict(model.named_parameters())
    with pytest.raises(TypeError, match="cannot assign 'int' as child module 'first'"):
        model.first = 3
    with pytest.raises(TypeError, match="as buffer 'seen'"):
        model.seen = 3
    model.seen = webtorch.ones(1)
    assert model.state_dict()["seen"].item() == 1
    model.plain = nn.Parameter(webtorch.zeros(2))  # an attribute becomes a parameter
    assert "plain" in dict(model.named_parameters())
    del model.plain
    with pytest.raises(AttributeError, match="'Small' object has no attribute 'plain'"):
        _ = model.plain
    with pytest.raises(KeyError, match="attribute 'first' already exists"):
        model.register_buffer("first", None)
    with pytest.raises(KeyError, match="can.*t contain"):
        model.register_parameter("a.b", None)

    class Forgetful(nn.Module):
        def __init__(self):
            self.weight = nn.Parameter(webtorch.zeros(1))

    with pytest.raises(AttributeError, match=r"cannot assign parameters before Module.__init__\(\) call"):
        Forgetful()
    with pytest.raises(NotImplementedError, match='missing the required "forward" function'):
        nn.Module()(1)


def test_load_state_dict_says_what_does_not_fit():
    model = nn.Linear(2, 3)
    state = model.state_dict()
    del state["bias"]
    state["other"] = webtorch.zeros(1)
    state["weight"] = webtorch.zeros(3, 4)
    with pytest.raises(RuntimeError) as caught:
        model.load_state_dict(state)
    assert str(caught.value) == (
        "Error(s) in loading state_dict for Linear:\n"
        '\tMissing key(s) in state_dict: "bias". \n'
        '\tUnexpected key(s) in state_dict: "other". \n'
        "\tsize mismatch for weight: copying a param with shape webtorch.Size([3, 4]) from checkpoint, the shape in current model is "
        "webtorch.Size([3, 2])."
    )
    found = nn.Linear(2, 3).load_state_dict({"weight": np.ones((3, 2), np.float32), "other": np.zeros(1)}, strict=False)
    assert found.missing_keys == ["bias"]
    assert found.unexpected_keys == ["other"]
    assert repr(model.load_state_dict(model.state_dict())) == "<All keys matched successfully>"


def test_error_messages_of_loading_are_pytorchs():
    torch = pytest.importorskip("torch")
    messages = []
    for library in (torch, webtorch):
        model = library.nn.Sequential(library.nn.Linear(2, 3), library.nn.BatchNorm1d(3))
        state = {
            "0.weight": library.zeros(2),
            "0.bias": library.zeros(3),
            "1.other": library.zeros(1),
            "2.weight": library.zeros(1),
        }
        with pytest.raises(RuntimeError) as caught:
            model.load_state_dict(state)
        messages.append(str(caught.value).replace("webtorch.Size", "torch.Size"))
    assert messages[0] == messages[1]


def test_loading_keeps_identity_and_assigning_replaces():
    model, other = nn.Linear(2, 3), nn.Linear(2, 3)
    weight = model.weight
    model.load_state_dict(other.state_dict())
    assert model.weight is weight
    np.testing.assert_array_equal(weight.detach().numpy(), other.weight.detach().numpy())
    model.load_state_dict(other.state_dict(), assign=True)
    assert model.weight is not weight
    assert isinstance(model.weight, nn.Parameter)
    assert model.weight.data_ptr() == other.weight.data_ptr()


def test_state_dict_shares_memory():
    model = nn.Linear(2, 3)
    model.state_dict()["bias"].fill_(7)
    assert model.bias.tolist() == [7, 7, 7]


def test_moving_and_converting(device):
    model = Small()
    parameters = list(model.parameters())
    model(webtorch.ones(1, 2)).sum().backward()
    model.to(device)
    assert all(a is b for a, b in zip(parameters, model.parameters(), strict=True))
    assert {value.device.type for value in (*model.parameters(), *model.buffers())} == {device}
    assert model.first.weight.grad.device.type == device
    assert model.first.weight.requires_grad and model.first.weight.is_leaf
    assert model.half().scale.dtype is webtorch.float16
    assert model.to(webtorch.float32).scale.dtype is webtorch.float32
    assert model.cpu().double().first.weight.dtype is webtorch.float64
    normal = nn.BatchNorm1d(2).double()
    assert normal.num_batches_tracked.dtype is webtorch.int64
    with pytest.raises(TypeError, match="only accepts floating point dtypes"):
        model.to(webtorch.int64)


def test_training_mode_and_gradients():
    model = Small()
    assert model.training and model.second[1].training
    model.eval()
    assert not model.second[0].training
    model.train().requires_grad_(False)
    assert not any(parameter.requires_grad for parameter in model.parameters())
    model.requires_grad_()
    model(webtorch.ones(1, 2)).sum().backward()
    model.zero_grad(set_to_none=False)
    assert model.first.bias.grad.tolist() == [0, 0, 0]
    model.zero_grad()
    assert model.first.bias.grad is None
    visited = []
    model.apply(lambda module: visited.append(type(module).__name__))
    assert visited == ["Linear", "ReLU", "Linear", "Sequential", "Small"]


def test_copies_and_pickles_are_independent(device):
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).to(device)
    x = webtorch.rand(4, 2, device=device)
    expected = model.eval()(x).detach().cpu().numpy()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert isinstance(other[0].weight, nn.Parameter)
        assert other[0].weight.requires_grad
        np.testing.assert_allclose(other(x).detach().cpu().numpy(), expected, rtol=1e-5)
        with webtorch.no_grad():
            other[0].weight.zero_()
        np.testing.assert_allclose(model(x).detach().cpu().numpy(), expected, rtol=1e-5)
    shared = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    shared[1].weight = shared[0].weight
    other = copy.deepcopy(shared)
    assert other[1].weight is other[0].weight


def test_parameters_print_and_subclass():
    parameter = nn.Parameter(webtorch.ones(2))
    assert repr(parameter) == "Parameter containing:\ntensor([1., 1.], requires_grad=True)"
    assert isinstance(parameter, webtorch.Tensor)
    assert type(parameter * 2) is webtorch.Tensor
    base = webtorch.zeros(2, 3)
    view = nn.Parameter(base.t()[1:])
    base.fill_(2)
    assert view.tolist() == [[2, 2], [2, 2]]
    assert nn.Parameter(webtorch.zeros(1, dtype=webtorch.int64), requires_grad=False).dtype is webtorch.int64
    with pytest.raises(DTypeError):
        nn.Parameter(webtorch.zeros(1, dtype=webtorch.int64))


def test_forward_hooks():
    model = nn.Linear(2, 2)
    log = []
    first = model.register_forward_pre_hook(lambda module, args: log.append("before") or (args[0] * 2,))
    second = model.register_forward_hook(lambda module, args, output: log.append("after") or output + 1)
    x = webtorch.ones(1, 2)
    expected = (F.linear(x * 2, model.weight, model.bias) + 1).detach().numpy()
    np.testing.assert_allclose(model(x).detach().numpy(), expected)
    assert log == ["before", "after"]
    first.remove()
    second.remove()
    model(x)
    assert log == ["before", "after"]
    with_names = model.register_forward_hook(
        lambda module, args, kwargs, output: log.append(sorted(kwargs)), with_kwargs=True
    )
    model(input=x)
    with_names.remove()
    assert log[-1] == ["input"]


def test_backward_hooks_see_and_replace_gradients():
    torch = pytest.importorskip("torch")
    found = []
    for library in (torch, webtorch):
        layer = library.nn.Linear(3, 2)
        layer.load_state_dict({"weight": library.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), "bias": library.zeros(2)})
        seen = []

        def hook(module, grad_input, grad_output, seen=seen):
            seen.append([value.tolist() for value in (*grad_input, *grad_output)])
            return (grad_input[0] * 10,)

        layer.register_full_backward_hook(hook)
        layer.register_full_backward_pre_hook(lambda module, grad_output: (grad_output[0] * 2,))
        x = library.ones(1, 3, requires_grad=True)
        layer(x).sum().backward()
        seen.append(x.grad.tolist())
        seen.append(layer.weight.grad.tolist())
        found.append(seen)
    assert found[0] == found[1]
    layer = nn.Linear(3, 2)
    calls = []
    layer.register_full_backward_hook(
        lambda module, grad_input, grad_output: calls.append((grad_input, grad_output[0].tolist()))
    )
    layer(webtorch.ones(1, 3)).sum().backward()
    assert calls == [((None,), [[1.0, 1.0]])]


def test_containers():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    assert len(model) == 3
    assert isinstance(model[-1], nn.Linear)
    assert [type(part).__name__ for part in model[:2]] == ["Linear", "ReLU"]
    model.append(nn.Tanh()).insert(0, nn.Identity())
    assert list(model._modules) == ["0", "1", "2", "3", "4"]
    del model[0]
    assert isinstance(model[0], nn.Linear)
    model[1] = nn.GELU()
    assert isinstance(model[1], nn.GELU)
    parts = nn.ModuleList([nn.Linear(1, 1)])
    parts += [nn.ReLU()]
    parts.extend([nn.Tanh()])
    assert [type(part).__name__ for part in parts] == ["Linear", "ReLU", "Tanh"]
    with pytest.raises(IndexError):
        parts[3]
    names = nn.ModuleDict({"a": nn.ReLU()})
    names["b"] = nn.Linear(1, 1)
    assert list(names.keys()) == ["a", "b"] and "b" in names and len(list(names.parameters())) == 2
    values = nn.ParameterDict({"a": webtorch.zeros(2)})
    assert isinstance(values["a"], nn.Parameter)
    many = nn.ParameterList([webtorch.zeros(1), webtorch.zeros(2)])
    assert [name for name, _ in many.named_parameters()] == ["0", "1"]


# ---- layers ----------------------------------------------------------------------------------------------------------


def test_dropout_keeps_the_mean_and_obeys_the_mode(device):
    webtorch.manual_seed(0)
    x = webtorch.ones(200, 50, device=device)
    layer = nn.Dropout(0.25)
    y = layer(x).cpu().numpy()
    assert set(np.unique(y).round(4)) == {0.0, np.float32(1.3333)}
    assert abs((y == 0).mean() - 0.25) < 0.02
    assert layer.eval()(x) is x
    channels = nn.Dropout2d(0.5)(webtorch.ones(8, 16, 3, 3, device=device)).cpu().numpy().reshape(8, 16, 9)
    assert (channels.min(-1) == channels.max(-1)).all()
    assert 0.3 < (channels[..., 0] == 0).mean() < 0.7
    with pytest.raises(ValueError, match="dropout probability has to be between 0 and 1"):
        nn.Dropout(1.5)


def test_dropout_gradient_passes_where_the_value_did(device):
    x = webtorch.ones(50, device=device, requires_grad=True)
    y = F.dropout(x, 0.5)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.cpu().numpy(), y.detach().cpu().numpy())


def test_batch_norm_statistics_over_several_steps(device):
    layer = nn.BatchNorm1d(3).to(device)
    assert layer.running_var.device.type == device and layer.num_batches_tracked.device.type == "cpu"
    assert list(layer.state_dict()) == ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    rng = np.random.default_rng(0)
    mean, variance = np.zeros(3), np.ones(3)
    for _ in range(5):
        x = rng.standard_normal((16, 3)).astype(np.float32) * 2 + 1
        layer(webtorch.tensor(x, device=device))
        mean = 0.9 * mean + 0.1 * x.mean(0)
        variance = 0.9 * variance + 0.1 * x.var(0, ddof=1)
    np.testing.assert_allclose(layer.running_mean.cpu().numpy(), mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.running_var.cpu().numpy(), variance, rtol=1e-4)
    assert layer.num_batches_tracked.item() == 5
    with pytest.raises(ValueError, match="Expected more than 1 value per channel when training"):
        layer(webtorch.zeros(1, 3, device=device))
    layer.reset_running_stats()
    assert layer.running_mean.tolist() == [0, 0, 0]


def test_embedding_limits_norms_and_refuses_wrong_indices(device):
    layer = nn.Embedding(4, 2, max_norm=1.0).to(device)
    with webtorch.no_grad():
        layer.weight.fill_(3.0)
    norms = layer(webtorch.tensor([0, 2, 2], device=device)).detach().norm(dim=1).cpu().numpy()
    np.testing.assert_allclose(norms, 1.0, rtol=1e-5)
    assert layer.weight[1].tolist() == [3.0, 3.0]
    with pytest.raises(IndexError):
        F.embedding(webtorch.tensor([4], device=device), layer.weight.detach()).cpu()
    with pytest.raises(DTypeError):
        F.embedding(webtorch.tensor([1.0], device=device), layer.weight)


def test_cross_entropy_refuses_wrong_targets(device):
    x = webtorch.zeros(2, 3, device=device)
    with pytest.raises(IndexError):
        F.cross_entropy(x, webtorch.tensor([0, 3], device=device)).item()
    with pytest.raises(ValueError, match=r"Expected input batch_size \(2\) to match target batch_size \(3\)"):
        F.cross_entropy(x, webtorch.tensor([0, 1, 2], device=device))
    with pytest.raises(ShapeError, match="probabilities"):
        F.cross_entropy(x, webtorch.zeros(2, device=device))
    with pytest.raises(ValueError, match="not a valid value for reduction"):
        F.cross_entropy(x, webtorch.tensor([0, 1], device=device), reduction="average")
    assert np.isnan(F.cross_entropy(x, webtorch.tensor([-100, -100], device=device)).item())


def test_shapes_that_do_not_fit_are_explained():
    with pytest.raises(ShapeError, match="to have 3 channels, but got 4 channels instead"):
        nn.Conv2d(3, 2, 3)(webtorch.zeros(1, 4, 5, 5))
    with pytest.raises(ShapeError, match="Kernel size can't be greater than actual input size"):
        nn.Conv2d(3, 2, 6)(webtorch.zeros(1, 3, 5, 5))
    with pytest.raises(ShapeError, match=r"Expected 3D \(unbatched\) or 4D \(batched\) input"):
        nn.Conv2d(3, 2, 3)(webtorch.zeros(5, 5))
    with pytest.raises(ShapeError, match="should be the same"):
        nn.Conv2d(3, 2, 3)(webtorch.zeros(1, 3, 5, 5, dtype=webtorch.float64))
    with pytest.raises(ShapeError, match="not supported for strided"):
        F.conv2d(webtorch.zeros(1, 1, 5, 5), webtorch.zeros(1, 1, 3, 3), stride=2, padding="same")
    with pytest.raises(ShapeError, match="at most half"):
        F.max_pool2d(webtorch.zeros(1, 1, 5, 5), 2, padding=2)
    with pytest.raises(ShapeError, match="normalized_shape"):
        nn.LayerNorm(4)(webtorch.zeros(2, 3))
    with pytest.raises(ValueError, match="divisible by num_groups"):
        nn.GroupNorm(2, 3)
    with pytest.raises(ValueError, match="expected 4D input"):
        nn.BatchNorm2d(3)(webtorch.zeros(2, 3))
    with pytest.raises(ShapeError):
        nn.Linear(3, 2)(webtorch.zeros(2, 4))


def test_nothing_to_convolve(device):
    layer = nn.Conv2d(2, 3, 3, padding=1).to(device)
    x = webtorch.zeros(0, 2, 5, 5, device=device, requires_grad=True)
    y = nn.MaxPool2d(2)(layer(x))
    assert y.shape == (0, 3, 2, 2)
    y.sum().backward()
    assert x.grad.shape == x.shape
    np.testing.assert_array_equal(layer.weight.grad.cpu().numpy(), np.zeros((3, 2, 3, 3)))


def test_max_pooling_of_nan_and_minus_infinity(device):
    x = webtorch.tensor([[[1.0, float("nan"), 2.0, 3.0], [0.0, 0.0, 5.0, 4.0]]], device=device)
    y = F.max_pool2d(x, 2).cpu().numpy()
    assert np.isnan(y[0, 0, 0]) and y[0, 0, 1] == 5
    low = webtorch.full((1, 2, 2), float("-inf"), device=device)
    assert F.max_pool2d(low, 2, padding=1).cpu().numpy().max() == -np.inf


def test_half_precision(device):
    x = webtorch.rand(2, 3, 6, 6, device=device).half()
    layer = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.LayerNorm(16), nn.Linear(16, 2)
    )
    layer = layer.half().to(device)
    y = layer(x)
    assert y.dtype is webtorch.float16
    y.float().sum().backward()
    assert layer[0].weight.grad.dtype is webtorch.float16
    wide = copy.deepcopy(layer).float()
    np.testing.assert_allclose(y.detach().cpu().numpy(), wide(x.float()).detach().cpu().numpy(), atol=2e-2)


def test_gumbel_softmax_and_random_slopes():
    webtorch.manual_seed(0)
    x = webtorch.zeros(400, 3, requires_grad=True)
    hard = F.gumbel_softmax(x, hard=True)
    assert set(hard.detach().numpy().round(5).reshape(-1)) == {0.0, 1.0}
    assert abs(hard.detach().numpy().mean(0) - 1 / 3).max() < 0.1
    hard[:, 0].sum().backward()
    assert x.grad.abs().sum().item() > 0
    y = nn.RReLU()(webtorch.full((100,), -1.0)).numpy()
    assert -1 / 3 <= y.min() < y.max() <= -1 / 8


# ---- init and utils --------------------------------------------------------------------------------------------------


def test_initial_values():
    q = nn.init.orthogonal_(webtorch.empty(3, 5), gain=2.0).numpy()
    np.testing.assert_allclose(q @ q.T, 4 * np.eye(3), atol=1e-5)
    tall = nn.init.orthogonal_(webtorch.empty(6, 2, 2)).numpy().reshape(6, 4)
    np.testing.assert_allclose(tall.T @ tall, np.eye(4), atol=1e-5)
    limited = nn.init.trunc_normal_(webtorch.empty(4000), std=2.0, a=-1.0, b=3.0).numpy()
    assert limited.min() >= -1 and limited.max() <= 3 and abs(limited.std() - 1.09) < 0.1
    sparse = nn.init.sparse_(webtorch.empty(10, 4), 0.3).numpy()
    assert ((sparse == 0).sum(0) == 3).all()
    kernel = nn.init.dirac_(webtorch.empty(3, 3, 3, 3))
    x = webtorch.rand(1, 3, 5, 5)
    np.testing.assert_allclose(F.conv2d(x, kernel, padding=1).numpy(), x.numpy())
    with pytest.raises(ValueError, match="fewer than 2 dimensions"):
        nn.init.kaiming_uniform_(webtorch.empty(3))
    parameter = nn.init.constant_(nn.Parameter(webtorch.empty(2)), 0.5)
    assert parameter.requires_grad and parameter.is_leaf


@pytest.mark.parametrize("name", ["linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
def test_gains(name):
    torch = pytest.importorskip("torch")
    assert nn.init.calculate_gain(name) == torch.nn.init.calculate_gain(name)


@pytest.mark.parametrize("norm_type", [1.0, 2.0, float("inf")])
def test_clipping_is_pytorchs(norm_type, device):
    torch = pytest.importorskip("torch")
    arrays = [np.random.default_rng(n).standard_normal((3, n + 1)).astype(np.float32) for n in range(3)]
    found = []
    for library, to in ((torch, torch.tensor), (webtorch, lambda array: webtorch.tensor(array, device=device))):
        parameters = []
        for array in arrays:
            parameter = library.nn.Parameter(to(array * 0))
            parameter.grad = to(array)
            parameters.append(parameter)
        total = library.nn.utils.clip_grad_norm_(parameters, 1.5, norm_type)
        library.nn.utils.clip_grad_value_(parameters, 0.4)
        found.append([nn_cases.as_array(total), *(nn_cases.as_array(parameter.grad) for parameter in parameters)])
    for theirs, ours in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_parameters_as_a_vector():
    model, other = nn.Linear(2, 3), nn.Linear(2, 3)
    vector = nn.utils.parameters_to_vector(model.parameters())
    nn.utils.vector_to_parameters(vector * 2, other.parameters())
    np.testing.assert_allclose(other.weight.detach().numpy(), 2 * model.weight.detach().numpy())
    assert other.weight.is_leaf and other.weight.requires_grad


def test_no_gradient_to_clip():
    assert nn.utils.clip_grad_norm_([nn.Parameter(webtorch.zeros(1))], 1.0).item() == 0.0
    parameter = nn.Parameter(webtorch.zeros(1))
    parameter.grad = webtorch.tensor([float("inf")])
    with pytest.raises(RuntimeError, match="non-finite"):
        nn.utils.clip_grad_norm_([parameter], 1.0, error_if_nonfinite=True)


# ---- kernels ---------------------------------------------------------------------------------------------------------


def kernels_of(function):
    names = []
    webtorch.engine.observers.append(names.append)
    try:
        result = function()
        webtorch.engine.realize([value._storage.node for value in (result if isinstance(result, tuple) else (result,))])
    finally:
        webtorch.engine.observers.remove(names.append)
    return names


@pytest.mark.gpu
def test_a_convolution_with_bias_and_relu_is_one_kernel():
    webtorch.sync_device()
    layer = nn.Conv2d(3, 4, 3).to("webgpu").requires_grad_(False)
    x = webtorch.rand(2, 3, 8, 8, device="webgpu")
    webtorch.engine.realize([x._storage.node])
    assert len(kernels_of(lambda: F.relu(layer(x)))) == 1
    assert len(kernels_of(lambda: F.max_pool2d(x * 2, 2, padding=1))) == 1
