"""Tensors without values: the meta device, and `eval_shape`, which says what shapes a function gives without running it."""

import numpy as np
import pytest

import webtorch
from webtorch.errors import DeviceError, DTypeError, ShapeError
from webtorch.shape_evaluation import TensorMeta

F = webtorch.float32

# A call on tensors of these shapes (and dtypes) of each kind of op there is.
CALLS = {
    "elementwise": (lambda x, y: (x * y + 1).exp(), (3, 4), (4,)),
    "comparison": (lambda x, y: webtorch.where(x > y, x, 0.0), (3, 1), (1, 4)),
    "cast": (lambda x: x.to(webtorch.int64) // 2, (5,)),
    "reduction": (lambda x: (x.sum(1), x.mean(), x.amax((0, 2), keepdim=True), x.argmax(2)), (2, 3, 4)),
    "scan": (lambda x: x.cumsum(1), (2, 7)),
    "matmul": (lambda x, y: x @ y, (5, 2, 3), (3, 4)),
    "softmax": (lambda x: x.softmax(-1).log_softmax(0), (3, 4)),
    "views": (
        lambda x: (x.T.reshape(2, -1), x[1:, None, ::2], x.expand(2, 3, 4), x.flip(0), x.unfold(1, 2, 1)),
        (3, 4),
    ),
    "joins": (lambda x, y: (webtorch.cat([x, y], 1), webtorch.stack([x, x])), (3, 4), (3, 2)),
    "indexing": (
        lambda x: (x[webtorch.tensor([0, 2])], x.gather(1, webtorch.zeros(3, 2, dtype=webtorch.int64))),
        (3, 4),
    ),
    "writes": (lambda x: x.clone().fill_(2.0).add_(1), (3, 4)),
    "written part": (lambda x: part_written(x), (3, 4)),
    "sorting": (lambda x: (x.sort(1), x.topk(2), x.median(0)), (3, 4)),
    "einsum": (lambda x, y: webtorch.einsum("ij,kj->ik", x, y), (3, 4), (5, 4)),
    "einops": (lambda x: webtorch.rearrange(x, "a (b c) -> c (a b)", b=2), (3, 4)),
    "convolution": (lambda x, w: webtorch.nn.functional.conv2d(x, w, padding=1), (2, 3, 5, 5), (4, 3, 3, 3)),
    "pooling": (lambda x: webtorch.nn.functional.max_pool2d(x, 2), (2, 3, 6, 6)),
    "factories": (lambda x: (webtorch.randn(3), webtorch.arange(5), webtorch.zeros_like(x), webtorch.eye(2)), (3, 4)),
    "loss": (lambda x: webtorch.nn.functional.cross_entropy(x, webtorch.zeros(3, dtype=webtorch.int64)), (3, 4)),
    "gradient": (lambda x: webtorch.func.grad(lambda t: (t * t).sum())(x), (3, 4)),
    "vmap": (lambda x: webtorch.vmap(lambda row: row.sum() * row)(x), (3, 4)),
}


def part_written(x):
    copy = x.clone()
    copy[0, 1:] = 5.0
    return copy


def shapes_of(result):
    if isinstance(result, (tuple, list)) and not isinstance(result, TensorMeta):
        return [shapes_of(value) for value in result]
    return tuple(result.shape), result.dtype


@pytest.mark.parametrize("name", CALLS)
def test_shapes_are_those_of_the_real_call(name, device):
    function, *shapes = CALLS[name]
    real = [webtorch.rand(shape, device=device) for shape in shapes]
    with webtorch.device(device):
        wanted = shapes_of(function(*real))
    found = webtorch.eval_shape(function, *real)
    assert shapes_of(found) == wanted
    with webtorch.device("meta"):
        on_meta = function(*(webtorch.empty(shape) for shape in shapes))
    assert shapes_of(on_meta) == wanted


@pytest.mark.gpu
def test_no_kernel_runs():
    model = webtorch.nn.Sequential(webtorch.nn.Linear(8, 4), webtorch.nn.ReLU(), webtorch.nn.Linear(4, 2)).to("webgpu")
    webtorch.sync_device("webgpu")
    with webtorch.debug.kernels() as kernels:
        found = webtorch.eval_shape(model, TensorMeta((7, 8), F))
        webtorch.sync_device("webgpu")
    assert found == TensorMeta((7, 2), F)
    assert len(kernels) == 0


def test_no_memory_is_taken():
    """A tensor of four terabytes has a shape like any other."""
    x = webtorch.empty(1_000_000, 1_000_000, device="meta")
    assert (x @ x).relu().sum(0).shape == (1_000_000,)
    assert webtorch.eval_shape(lambda: webtorch.zeros(1_000_000, 1_000_000) + 1) == TensorMeta(
        (1_000_000, 1_000_000), F
    )


@pytest.mark.parametrize(
    "read",
    [
        lambda x: x.tolist(), lambda x: x.numpy(), lambda x: x[0].item(), lambda x: bool(x[0] > 0), lambda x: x.to("cpu"),
        lambda x: np.asarray(x), lambda x: webtorch.nonzero(x), lambda x: x[x > 0],
    ],
)  # fmt: skip
def test_reading_raises(read):
    with pytest.raises(DeviceError, match=r"shape \[.*on meta .*no data") as caught:
        read(webtorch.ones(3, device="meta"))
    assert caught.value.code == "device_error_requires"


def test_a_shape_that_depends_on_values_raises_in_eval_shape():
    with pytest.raises(DeviceError, match="no data"):
        webtorch.eval_shape(lambda x: webtorch.nonzero(x), webtorch.ones(3, device="cpu"))


def test_meta_tensors_print():
    assert repr(webtorch.ones(2, 3, device="meta")) == "tensor(..., device='meta', size=(2, 3))"
    x = webtorch.ones(2, device="meta", dtype=webtorch.float64, requires_grad=True)
    assert repr(x) == "tensor(..., device='meta', size=(2,), dtype=webtorch.float64, requires_grad=True)"
    assert "grad_fn=<MulBackward0>" in repr(x * 2)
    assert x.is_meta and not webtorch.ones(1, device="cpu").is_meta


def test_backward_on_meta():
    x = webtorch.ones(2, 3, device="meta", requires_grad=True)
    (x @ x.T).softmax(0).sum().backward()
    assert x.grad.shape == (2, 3) and x.grad.device == "meta"


def test_meta_and_other_devices_do_not_mix(device):
    with pytest.raises(DeviceError, match="meta"):
        webtorch.ones(3, device="meta") + webtorch.ones(3, device=device)


@pytest.mark.parametrize(
    "call, code",
    [
        (lambda x: x @ x, "matmul_error_inner_dimensions_do_not_match"),
        (lambda x: x + webtorch.ones(2), "broadcast_error_incompatible_dimensions"),
        (lambda x: x.sum(5), "dimension_error_out_of_range"),
        (lambda x: x.expand(5, 4), "expand_error_incompatible"),
        (lambda x: webtorch.einsum("ij,jk", x, x), "einsum_error_dimension_mismatch"),
        (lambda x: webtorch.rearrange(x, "a (b c) -> a b c", b=3), "einops_error_dimension_mismatch"),
    ],
)
def test_the_same_shape_error(call, code, device):
    """What a call says of shapes that do not fit is the same with values and without."""
    x = webtorch.ones(3, 4, device=device)
    with webtorch.device(device), pytest.raises(ShapeError) as real:
        call(x)
    with pytest.raises(ShapeError) as found:
        webtorch.eval_shape(call, x)
    assert found.value.code == real.value.code == code
    assert str(found.value).replace("@meta", f"@{device}") == str(real.value)


def test_dtype_errors_are_raised_too():
    with pytest.raises(DTypeError):
        webtorch.eval_shape(lambda x: x.softmax(0), TensorMeta((3,), webtorch.int64))


def test_what_is_around_stays_as_it_is(device):
    """Parameters, buffers that the call writes to, and the random generator."""
    model = webtorch.nn.Sequential(webtorch.nn.BatchNorm1d(3), webtorch.nn.Dropout(0.5)).to(device)
    before = {name: value.clone().tolist() for name, value in model.state_dict().items()}
    versions = [value._version for value in model.buffers()]
    state = webtorch.get_rng_state().tolist()
    assert webtorch.eval_shape(model, TensorMeta((4, 3), F)) == TensorMeta((4, 3), F)
    assert {name: value.tolist() for name, value in model.state_dict().items()} == before
    assert [value._version for value in model.buffers()] == versions
    assert webtorch.get_rng_state().tolist() == state
    model(webtorch.rand(4, 3, device=device))
    assert {name: value.tolist() for name, value in model.state_dict().items()} != before


def test_a_write_inside_is_seen_inside_and_undone(device):
    counter = webtorch.zeros(2, dtype=webtorch.int64, device=device)

    def grows(x):
        counter.add_(3)
        return webtorch.ones(int(counter[0])) + x

    assert webtorch.eval_shape(grows, TensorMeta((1,), F)) == TensorMeta((3,), F)
    assert counter.tolist() == [0, 0]


def test_trees_and_other_arguments():
    def function(pair, scale, *, extra):
        return {"sum": pair[0] + pair[1].T, "scale": scale, "extra": extra * 2}

    found = webtorch.eval_shape(
        function, (TensorMeta((2, 3), F), webtorch.ones(3, 2)), 7, extra=TensorMeta((1,), webtorch.int32)
    )
    assert found == {"sum": TensorMeta((2, 3), F), "scale": 7, "extra": TensorMeta((1,), webtorch.int32)}


def test_requires_grad_is_kept():
    assert webtorch.eval_shape(
        lambda x: webtorch.autograd.grad((x * x).sum(), x)[0], webtorch.ones(4, requires_grad=True, device="cpu")
    ) == TensorMeta((4,), F)


def test_errors_leave_nothing_behind():
    with pytest.raises(ZeroDivisionError):
        webtorch.eval_shape(lambda x: 1 / 0, TensorMeta((1,), F))
    assert webtorch.get_default_device() != "meta"
    assert webtorch.ones(2, device="cpu").tolist() == [1.0, 1.0]
