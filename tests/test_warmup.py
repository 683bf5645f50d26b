"""`webgpu.warmup`: the kernels of a function are compiled before its first call, and nothing else is changed by it."""

import numpy as np
import pytest

import webtorch

pytestmark = pytest.mark.gpu


def function(x, index):
    return (x * 3.25 + 1).cumsum(0)[index] @ x.T


def test_the_first_call_compiles_nothing():
    from webtorch.backends.wgpu import get_device

    webtorch.webgpu.warmup(function, (9, 5), ((4,), webtorch.int64))
    compiled = get_device().stats()["compiled"]
    values = np.arange(45, dtype=np.float32).reshape(9, 5) / 7
    index = np.array([3, 0, 8, 3])
    result = function(webtorch.tensor(values, device="webgpu"), webtorch.tensor(index, device="webgpu"))
    expected = (values * 3.25 + 1).cumsum(0)[index] @ values.T
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-5)
    assert get_device().stats()["compiled"] == compiled
    (webtorch.ones(3, device="webgpu") * 17.5 - 2).atan().sinh().numpy()
    assert get_device().stats()["compiled"] > compiled  # so that it would have shown


def test_a_compiled_function_is_recorded():
    doubled = webtorch.compile(lambda x: (x * 2).relu())
    webtorch.webgpu.warmup(doubled, 7)
    assert "1 recordings" in repr(doubled)
    assert doubled(webtorch.tensor([-1.0, 0, 1, 2, 3, 4, 5], device="webgpu")).tolist() == [0, 0, 2, 4, 6, 8, 10]
    assert "1 recordings" in repr(doubled)


def test_random_numbers_are_as_before():
    webtorch.manual_seed(3)
    expected = webtorch.rand(5, device="webgpu").tolist()
    webtorch.manual_seed(3)
    webtorch.webgpu.warmup(lambda x: x + webtorch.rand(5, device="webgpu"), webtorch.ones(5))
    assert webtorch.rand(5, device="webgpu").tolist() == expected


@pytest.mark.parametrize("wrong", ["3", (2, -1), (2, 1.5), True, None, ((2,), "float32")])
def test_what_is_no_shape_is_refused(wrong):
    with pytest.raises(TypeError, match="shape of an argument"):
        webtorch.webgpu.warmup(lambda x: x, wrong)
