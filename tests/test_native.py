"""The normalisations that return their statistics, and grids sampled by numbered modes: against numpy and the functions of
`nn.functional`, and against PyTorch where it is installed."""

import numpy as np
import pytest

import webtorch
from webtorch.errors import ShapeError

F = webtorch.nn.functional


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32) + 1


X, WEIGHT, BIAS = numbers(2, 4, 3, 5), numbers(4, seed=1), numbers(4, seed=2)
NORMS = {
    "native_batch_norm": ((WEIGHT, BIAS, None, None, True, 0.1, 1e-3), (2, 4, 15), (0, 2), (4,)),
    "native_group_norm": ((WEIGHT, None, 2, 4, 15, 2, 1e-3), (2, 2, 30), (2,), (2, 2)),
    "native_layer_norm": (((3, 5), numbers(3, 5), None, 1e-3), (2, 4, 15), (2,), (2, 4, 1, 1)),
}


@pytest.mark.parametrize("name", NORMS)
def test_norms_return_their_statistics(name, device):
    arguments, rows, axes, shape = NORMS[name]
    given = [webtorch.tensor(each, device=device) if isinstance(each, np.ndarray) else each for each in arguments]
    result, mean, root = getattr(webtorch, name)(webtorch.tensor(X, device=device), *given)
    exact = X.astype(np.float64).reshape(rows)
    assert mean.shape == root.shape == shape
    np.testing.assert_allclose(mean.numpy().ravel(), exact.mean(axes).ravel(), rtol=1e-5)
    np.testing.assert_allclose(root.numpy().ravel(), 1 / np.sqrt(exact.var(axes).ravel() + 1e-3), rtol=1e-5)
    x = webtorch.tensor(X, device=device)
    plain = {
        "native_batch_norm": lambda w, b, *rest: F.batch_norm(x, None, None, w, b, True, 0.1, 1e-3),
        "native_group_norm": lambda w, b, *rest: F.group_norm(x, 2, w, b, 1e-3),
        "native_layer_norm": lambda size, w, b, eps: F.layer_norm(x, size, w, b, eps),
    }[name]
    assert result.tolist() == plain(*given).tolist()


@pytest.mark.parametrize("name", NORMS)
def test_norms_mean_the_same_to_pytorch(name):
    torch = pytest.importorskip("torch")
    arguments = NORMS[name][0]
    theirs = getattr(torch, name)(
        torch.tensor(X), *(torch.tensor(each) if isinstance(each, np.ndarray) else each for each in arguments)
    )
    ours = getattr(webtorch, name)(
        webtorch.tensor(X), *(webtorch.tensor(each) if isinstance(each, np.ndarray) else each for each in arguments)
    )
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == tuple(other.shape)
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=2e-5, atol=2e-6)


def test_a_batch_norm_that_does_not_train_has_no_statistics(device):
    x, mean, var = (webtorch.tensor(each, device=device) for each in (X, BIAS, np.abs(WEIGHT)))
    result, *rest = webtorch.native_batch_norm(x, None, None, mean, var, False, 0.1, 1e-3)
    assert [each.shape for each in rest] == [(0,), (0,)]
    assert result.tolist() == F.batch_norm(x, mean, var, eps=1e-3).tolist()


@pytest.mark.parametrize("interpolation, padding, align", [(0, 0, True), (1, 1, False), (2, 2, True)])
def test_grids(interpolation, padding, align, device):
    image, theta = webtorch.tensor(X, device=device), webtorch.tensor(numbers(2, 2, 3), device=device)
    grid = webtorch.affine_grid_generator(theta, (2, 4, 2, 3), align)
    assert grid.tolist() == F.affine_grid(theta, (2, 4, 2, 3), align).tolist()
    modes = (("bilinear", "nearest", "bicubic")[interpolation], ("zeros", "border", "reflection")[padding])
    expected = F.grid_sample(image, grid, *modes, align).tolist()
    assert webtorch.grid_sampler(image, grid, interpolation, padding, align).tolist() == expected
    assert webtorch.grid_sampler_2d(image, grid, interpolation, padding, align).tolist() == expected


def test_volumes(device):
    volume, grid = (
        webtorch.tensor(X, device=device)[:, None],
        webtorch.tensor(numbers(2, 1, 2, 2, 3) - 1, device=device),
    )
    expected = F.grid_sample(volume, grid, "bilinear", "border", False)
    assert webtorch.grid_sampler_3d(volume, grid, 0, 1, False).tolist() == expected.tolist()


def test_what_does_not_fit_is_refused():
    x, grid = webtorch.tensor(X), webtorch.zeros(2, 1, 1, 2)
    with pytest.raises(ValueError, match=r"interpolation_mode=3\): expected 0 \(bilinear\)"):
        webtorch.grid_sampler(x, grid, 3, 0, True)
    with pytest.raises(ValueError, match=r"padding_mode=-1"):
        webtorch.grid_sampler(x, grid, 0, -1, True)
    with pytest.raises(ShapeError, match="must have 5 dimensions"):
        webtorch.grid_sampler_3d(x, grid, 0, 0, True)
    with pytest.raises(ShapeError, match="N=2, C=4, HxW=14"):
        webtorch.native_group_norm(x, None, None, 2, 4, 14, 2, 1e-5)
