"""Gradients, first and second, of functions made of others, where they meet zeros, writes and negative arguments."""

import numpy as np
import pytest

import webtorch
from webtorch.autograd import grad, gradcheck, gradgradcheck

RANDOM = np.random.default_rng(8)


def leaf(*shape, low=-2.0, high=2.0):
    return webtorch.tensor(RANDOM.uniform(low, high, shape), device="cpu", requires_grad=True)


CASES = {
    "index_fill": (lambda x, value: webtorch.index_fill(x, 0, webtorch.tensor([0, 2], device="cpu"), value), (3, 4), ()),
    "quantile": (lambda x, q: webtorch.quantile(x, q.sigmoid(), dim=0), (7, 2), (2,)),
    "nanquantile": (lambda x, q: webtorch.nanquantile(x, q.sigmoid(), dim=0), (7, 2), (2,)),
    "cumprod_": (lambda x: (x * 1).cumprod_(1), (3, 4)),
    "index_reduce_": (
        lambda x, y: (x * 1).index_reduce_(0, webtorch.tensor([1, 1], device="cpu"), y, "prod"), (3, 4), (2, 4)
    ),
    "polygamma_": (lambda x: (x.exp() + 0).polygamma_(1), (5,)), "renorm_": (lambda x: (x * 1).renorm_(2, 0, 1.0), (3, 4)),
    "gradient": (lambda x: webtorch.gradient(x, edge_order=2), (4, 5)),
    "segment_reduce": (
        lambda x: webtorch.segment_reduce(x, "mean", lengths=webtorch.tensor([2, 3], device="cpu")), (5, 2)
    ),
    "put": (lambda x, y: webtorch.put(x, webtorch.tensor([0, 5], device="cpu"), y), (2, 3), (2,)),
    "permute_copy": (lambda x: webtorch.permute_copy(x, (1, 0)) ** 2, (2, 3)), "norm": (lambda x: x.norm(2.5, 0), (4, 2)),
    "norm of a negative order": (lambda x: x.norm(-1.5, 0), (4, 2)),
    "cosine_similarity": (lambda x, y: webtorch.cosine_similarity(x, y, dim=-1), (2, 1, 3), (1, 2, 3)),
    "tensordot": (lambda x, y: webtorch.tensordot(x, y, dims=([1], [0])), (2, 1), (3, 2)),
    "digamma": (lambda x: (x - 3.2).digamma(), (6,)), "polygamma": (lambda x: webtorch.polygamma(2, x - 3.2), (6,)),
    "lobpcg": (lambda x: webtorch.lobpcg(x @ x.mT, k=1)[0], (4, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_gradients(name):
    function, *shapes = CASES[name]
    low, high = (0.1, 0.9) if "gamma" in name else (0.2, 2.0) if "norm" in name else (-2.0, 2.0)
    leaves = [leaf(*shape, low=low, high=high) for shape in shapes]
    assert gradcheck(function, leaves, fast_mode=True, atol=1e-4, rtol=1e-3)
    assert gradgradcheck(function, leaves, fast_mode=True, atol=1e-3, rtol=1e-2)


@pytest.mark.parametrize("order", [-3.0, 0.5, 1.5, 2.5, 3.0])
def test_norms_of_zeros_have_slope_zero(order, device):
    x = webtorch.tensor([[0.0, 0.0], [0.0, 2.0]], device=device, requires_grad=True)
    (g,) = grad(webtorch.linalg.vector_norm(x, order, dim=1).sum(), x)
    assert g.tolist()[0] == [0.0, 0.0] and g.tolist()[1][0] == 0.0 and not g.isnan().any().item()


def test_polygamma_of_negative_numbers(device):
    """By the recurrence that leads from x to x + 1."""
    x = webtorch.tensor([-0.3, -1.7, -12.4, -0.6], device=device)
    for n, factor in ((2, 2.0), (3, -6.0)):
        step = webtorch.polygamma(n, x + 1) - webtorch.polygamma(n, x)
        wanted = factor / x.cpu().double().numpy() ** (n + 1)
        rounding = 4e-6 * webtorch.polygamma(n, x).abs().cpu().numpy()
        assert (np.abs(step.cpu().numpy() - wanted) < 1e-4 * np.abs(wanted) + rounding).all()
    assert webtorch.polygamma(2, webtorch.tensor([-1.0], device=device)).abs().item() == np.inf


def test_complex_numbers_have_no_largest(device):
    x = webtorch.ones(1, 2, 4, device=device) * (1 + 1j)
    with pytest.raises(webtorch.DTypeError, match="complex"):
        webtorch.nn.functional.adaptive_max_pool1d(x, 2)


def test_bytes_are_interpolated_as_numbers(device):
    x = webtorch.tensor([[[[10, 20], [200, 250]]]], dtype=webtorch.uint8, device=device)
    got = webtorch.nn.functional.interpolate(x, size=(2, 3), mode="bilinear", align_corners=True)
    assert got.dtype is webtorch.uint8 and got.tolist() == [[[[10, 15, 20], [200, 225, 250]]]]
    with pytest.raises(webtorch.DTypeError, match="float"):
        webtorch.nn.functional.interpolate(x.int(), size=3, mode="bicubic")


def test_elements_through_python_functions():
    x = webtorch.tensor([[1.0, 2.0], [3.0, 4.0]], device="cpu")
    assert x.clone().apply_(lambda value: value + 1).tolist() == [[2, 3], [4, 5]]
    assert x.clone().map_(x.t(), lambda a, b: a * b).tolist() == [[1, 6], [6, 16]]
    with pytest.raises(TypeError, match="only implemented on CPU"):
        webtorch.ones(1, device="meta").apply_(abs)


def test_memory_moves_when_it_grows(device):
    x = webtorch.arange(4, device=device)
    view = x[1:3]
    view.resize_(2, 3)
    assert view.tolist() == [[1, 2, 3], [0, 0, 0]] and x.tolist() == [0, 1, 2, 3]
    with pytest.raises(RuntimeError, match="require grad"):
        webtorch.ones(2, device=device, requires_grad=True).resize_(1)
    y = webtorch.zeros(2, dtype=webtorch.int64, device=device).set_(x.untyped_storage(), 1, (3,))
    assert y.tolist() == [1, 2, 3] and y.untyped_storage() == x.untyped_storage()


def test_handles_and_types_of_arguments():
    from webtorch.nn.common_types import _size_2_t
    from webtorch.utils.hooks import RemovableHandle

    handle = webtorch.ones(1, requires_grad=True).register_hook(lambda g: g)
    assert isinstance(handle, RemovableHandle) and isinstance((1, 2), tuple) and isinstance(3, _size_2_t.__args__[0])
    with webtorch.random.fork_rng():
        webtorch.rand(1)
