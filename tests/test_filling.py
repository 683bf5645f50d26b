"""Further random fills by their moments and ranges, forks of the random state, and small functions of products."""

import numpy as np
import pytest

import webtorch


def filled(device, method, *args):
    webtorch.manual_seed(3)
    return getattr(webtorch.empty(20000, device=device), method)(*args).cpu().numpy().astype(np.float64)


def test_fills_follow_their_distributions(device):
    x = filled(device, "exponential_", 2.0)
    assert x.min() >= 0 and abs(x.mean() - 0.5) < 0.02 and abs(x.std() - 0.5) < 0.02
    x = filled(device, "cauchy_", 1.0, 2.0)
    low, middle, high = np.quantile(x, [0.25, 0.5, 0.75])
    assert abs(middle - 1) < 0.1 and abs(low + 1) < 0.15 and abs(high - 3) < 0.15
    x = filled(device, "geometric_", 0.25)
    assert x.min() == 1 and (x == np.round(x)).all() and abs(x.mean() - 4) < 0.1
    x = np.log(filled(device, "log_normal_", 0.5, 0.75))
    assert abs(x.mean() - 0.5) < 0.02 and abs(x.std() - 0.75) < 0.02


@pytest.mark.gpu
@pytest.mark.parametrize("method, args", [("exponential_", ()), ("geometric_", (0.3,)), ("log_normal_", ())])
def test_fills_agree_between_devices(method, args):
    np.testing.assert_allclose(filled("cpu", method, *args), filled("webgpu", method, *args), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "method, args", [("exponential_", (0,)), ("cauchy_", (0, -1)), ("geometric_", (1,)), ("log_normal_", (0, 0))]
)
def test_parameters_out_of_range(method, args):
    with pytest.raises(RuntimeError, match="expects"):
        getattr(webtorch.empty(3), method)(*args)


def test_fork_rng():
    webtorch.manual_seed(0)
    expected = webtorch.rand(3).tolist()
    webtorch.manual_seed(0)
    with webtorch.fork_rng():
        webtorch.rand(5)
    assert webtorch.rand(3).tolist() == expected
    with pytest.raises(ZeroDivisionError), webtorch.fork_rng():
        webtorch.manual_seed(9)
        raise ZeroDivisionError
    assert webtorch.initial_seed() == 0
    with webtorch.fork_rng(enabled=False):
        webtorch.manual_seed(4)
    assert webtorch.initial_seed() == 4


def test_inner_ger_and_renorm(device):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 3, 4)).astype(np.float32), rng.standard_normal((5, 4)).astype(np.float32)
    a, b = webtorch.tensor(x, device=device), webtorch.tensor(y, device=device)
    np.testing.assert_allclose(webtorch.inner(a, b).cpu().numpy(), np.inner(x, y), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(a.inner(webtorch.tensor(2.0, device=device)).cpu().numpy(), x * 2)
    np.testing.assert_allclose(webtorch.ger(b[0], b[1]).cpu().numpy(), np.outer(y[0], y[1]), rtol=1e-6)
    with pytest.raises(webtorch.ShapeError, match="last dimension"):
        webtorch.inner(a, b.t())
    got = webtorch.renorm(a, 2, 1, 1.5).cpu().numpy()
    sizes = np.sqrt((x.astype(np.float64) ** 2).sum((0, 2), keepdims=True))
    np.testing.assert_allclose(got, x * np.where(sizes > 1.5, 1.5 / (sizes + 1e-7), 1), rtol=1e-5)
    with pytest.raises(RuntimeError, match="2 dimensions"):
        webtorch.renorm(b[0], 2, 0, 1.0)
    t = a.clone().requires_grad_()
    (webtorch.renorm(t, 2, 1, 1.5) ** 2).sum().backward()
    assert bool(webtorch.isfinite(t.grad).all())


def test_generators_can_be_copied_and_pickled():
    import copy
    import pickle

    generator = webtorch.Generator().manual_seed(5)
    webtorch.rand(2, generator=generator)
    others = [copy.deepcopy(generator), pickle.loads(pickle.dumps(generator))]
    expected = webtorch.rand(3, generator=generator).tolist()
    assert [webtorch.rand(3, generator=other).tolist() for other in others] == [expected] * 2


@pytest.mark.parametrize("name", ["uniform_", "normal_", "exponential_", "cauchy_", "log_normal_", "geometric_"])
def test_numbers_that_a_dtype_cannot_hold_are_refused(name, device):
    arguments = (0.5,) if name == "geometric_" else ()
    for dtype in (webtorch.int64, webtorch.uint8, webtorch.bool, webtorch.complex64):
        x = webtorch.zeros(3, dtype=dtype, device=device)
        whole = name == "geometric_" and dtype in (webtorch.int64, webtorch.uint8)
        if whole or name in ("uniform_", "normal_") and dtype is webtorch.complex64:
            getattr(x, name)(*arguments)
            assert not (x == 0).any()
        else:
            with pytest.raises(webtorch.DTypeError, match=name):
                getattr(x, name)(*arguments)
            assert (x == 0).all()


def test_random_integers_outside_of_a_dtype_are_refused(device):
    for dtype, low, high in (
        (webtorch.int8, 0, 128), (webtorch.uint8, 0, 256), (webtorch.bool, 0, 2), (webtorch.float16, -65504, 65505),
    ):  # fmt: skip
        assert webtorch.randint(low, high, (4,), dtype=dtype, device=device).dtype is dtype
        for wrong in ((low, high + 1), (low - 70000, high)):
            with pytest.raises(RuntimeError, match="out of bounds"):
                webtorch.randint(*wrong, (4,), dtype=dtype, device=device)
    with pytest.raises(webtorch.DTypeError, match="randint"):
        webtorch.randint(3, (4,), dtype=webtorch.complex64, device=device)
    assert set(webtorch.zeros(64, dtype=webtorch.bool, device=device).random_().tolist()) == {False, True}
    with pytest.raises(RuntimeError, match="holds 0 to 255"):
        webtorch.linspace(0, 300, 4, dtype=webtorch.uint8, device=device)


def test_means_of_complex_numbers_at_an_index(device):
    x = webtorch.tensor([1 + 1j, 2 - 1j, 4.0], device=device)
    index, source = webtorch.tensor([0, 0, 2], device=device), webtorch.tensor([3 - 1j, 2j, 1.0 + 3j], device=device)
    found = x.index_reduce(0, index, source, "mean").cpu().numpy()
    np.testing.assert_allclose(found, [(4 + 2j) / 3, 2 - 1j, (5 + 3j) / 2], rtol=1e-6)
