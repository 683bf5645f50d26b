"""multinomial and poisson: the same draws on every device, the right distribution, errors."""

import asyncio
import contextlib
import warnings

import numpy as np
import pytest

import webtorch


@contextlib.contextmanager
def quiet():
    """The first call of a function that goes to the host warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def draws(function):
    """What a function draws from one seed on each device."""
    found = []
    for device in ("cpu", "webgpu"):
        webtorch.manual_seed(5)
        found.append(function(device).numpy())
    return found


@pytest.mark.gpu
@pytest.mark.parametrize("replacement", [False, True])
def test_both_devices_draw_the_same_categories(replacement):
    p = np.random.default_rng(1).random((4, 37)).astype(np.float32) ** 6
    ours, theirs = draws(lambda device: webtorch.tensor(p, device=device).multinomial(11, replacement))
    assert np.array_equal(ours, theirs) and len(np.unique(ours)) > 5


@pytest.mark.gpu
def test_both_devices_draw_the_same_counts():
    rates = np.array([[0.0, 0.1, 3.0], [50.0, 1e3, 1e6]], np.float32)
    before = webtorch.webgpu.host_fallbacks().get("poisson", 0)
    with quiet():
        ours, theirs = draws(lambda device: webtorch.poisson(webtorch.tensor(rates, device=device)))
    assert (
        np.array_equal(ours, theirs) and ours[0, 0] == 0 and webtorch.webgpu.host_fallbacks()["poisson"] == before + 1
    )


def test_frequencies(device):
    webtorch.manual_seed(3)
    p = webtorch.tensor([1.0, 0.0, 2.0, 5.0], device=device)
    counts = np.bincount(p.multinomial(8000, replacement=True).numpy(), minlength=4)
    assert counts[1] == 0 and np.abs(counts / 1000 - [1, 0, 2, 5]).max() < 0.2
    first = p.expand(4000, 4).multinomial(2).numpy()
    # Without replacement: P(3 first) = 5/8; P(0 second | 3 first) = 1/3.
    assert abs((first[:, 0] == 3).mean() - 5 / 8) < 0.03
    assert abs((first[first[:, 0] == 3][:, 1] == 0).mean() - 1 / 3) < 0.04


def test_without_replacement_gives_each_once(device):
    webtorch.manual_seed(4)
    found = webtorch.tensor([[3.0, 0.0, 1.0], [0.0, 0.0, 1.0]], device=device).multinomial(3).tolist()
    assert found[0][2] == 1 and sorted(found[0]) == [0, 1, 2]
    assert found[1] == [2, 0, 1]


def test_poisson_has_its_rate(device):
    webtorch.manual_seed(6)
    with quiet():
        found = webtorch.poisson(webtorch.full((4000,), 3.5, device=device)).numpy()
    assert abs(found.mean() - 3.5) < 0.15 and abs(found.var() - 3.5) < 0.4 and found.dtype == np.float32


def test_async(device):
    p = webtorch.tensor([0.0, 1.0], device=device)
    assert asyncio.run(webtorch.multinomial_async(p, 3, True)).tolist() == [1, 1, 1]
    picked = asyncio.run(webtorch.masked_select_async(p, p > 0))
    assert picked.tolist() == [1.0]
    with pytest.raises(webtorch.ShapeError, match="sum of probabilities <= 0"):
        asyncio.run(webtorch.multinomial_async(p * 0, 1))


@pytest.mark.parametrize(
    ("values", "count", "phrase"),
    [
        ([0.0, 0.0], 1, "sum of probabilities <= 0"),
        ([1.0, -1.0], 1, "element < 0"),
        ([1.0, float("nan")], 1, "`inf`, `nan`"),
        ([1.0, 1.0], 3, "without replacement"),
        ([1.0, 1.0], 0, "n_sample <= 0"),
        ([[[1.0]]], 1, "1 or 2 dim"),
        ([1, 2], 1, "floating-point"),
    ],
)
def test_errors(values, count, phrase, device):
    with pytest.raises(RuntimeError, match=phrase):
        webtorch.tensor(values, device=device).multinomial(count).tolist()


def test_poisson_errors(device):
    with quiet(), pytest.raises(RuntimeError, match="non-negative"):
        webtorch.poisson(webtorch.tensor([1.0, -1.0], device=device))
    with pytest.raises(RuntimeError, match="not implemented"):
        webtorch.poisson(webtorch.tensor([1], device=device))
