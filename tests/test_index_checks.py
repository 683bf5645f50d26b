"""Indices on a GPU: each is looked over once, and whatever may have made it another one has it looked over again."""

import numpy as np
import pytest

import webtorch
from webtorch import debug

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore:the webgpu device is:RuntimeWarning")]
OUT = "out of bounds"


def on_gpu(values):
    return webtorch.tensor(values, device="webgpu")


def checks(run) -> int:
    with debug.kernels() as ran:
        run().numpy()
    return sum(kernel.name == "any" for kernel in ran)


def test_an_index_is_looked_over_once():
    x, index = on_gpu([1.0, 2.0, 3.0]), on_gpu([2, 0])
    assert checks(lambda: x.gather(0, index)) > 0
    assert checks(lambda: x.gather(0, index) * 2) == 0
    assert checks(lambda: (x + 1).scatter_add(0, index, webtorch.ones(2, device="webgpu"))) == 0
    assert checks(lambda: x.gather(0, on_gpu([2, 0]))) > 0  # another tensor


def test_another_size_or_view_asks_again():
    index = on_gpu([[0, 4], [1, 2]])
    assert on_gpu(np.arange(5.0, dtype=np.float32)).take(index).tolist() == [[0, 4], [1, 2]]
    with pytest.raises(IndexError, match=OUT):
        on_gpu(np.arange(4.0, dtype=np.float32))[index].numpy()
    assert on_gpu(np.arange(4.0, dtype=np.float32))[index[1]].tolist() == [1, 2]
    with pytest.raises(IndexError, match=OUT):
        on_gpu(np.arange(4.0, dtype=np.float32))[index[0]].numpy()
    with pytest.raises(IndexError, match=OUT):
        on_gpu(np.arange(4.0, dtype=np.float32))[index[:, 1]].numpy()


def test_a_wrong_index_raises_every_time():
    x, wrong = on_gpu([1.0, 2.0, 3.0]), on_gpu([0, 3])
    for _ in range(3):
        with pytest.raises(IndexError, match=OUT):
            x.gather(0, wrong).numpy()
    assert x.gather(0, on_gpu([0, 2])).tolist() == [1, 3]


def test_an_index_that_is_written_to_is_another_one():
    x, index = on_gpu([1.0, 2.0, 3.0]), on_gpu([2, 0])
    assert x.gather(0, index).tolist() == [3, 1]
    index[1] = 7
    with pytest.raises(IndexError, match=OUT):
        x.gather(0, index).numpy()
    index[1] = 1
    assert x.gather(0, index).tolist() == [3, 2]
    index += 1
    with pytest.raises(IndexError, match=OUT):
        x.gather(0, index).numpy()


def test_a_compiled_function_checks_what_it_is_given():
    x, good, wrong = on_gpu([1.0, 2.0, 3.0]), on_gpu([2, 0]), on_gpu([0, 5])
    assert x.gather(0, good).tolist() == [3, 1]  # known before it is recorded
    pick = webtorch.compile(lambda x, index: x.gather(0, index) * 2)
    for _ in range(3):
        assert pick(x, good).tolist() == [6, 2]
    for _ in range(2):
        with pytest.raises(IndexError, match=OUT):
            pick(x, wrong).numpy()
    assert pick(x, good).tolist() == [6, 2]


@pytest.mark.parametrize("count", [16383, 16384, 70001, 140003])
def test_many_elements_at_computed_places(count):
    """Kernels that jump about take many elements at a time on a CPU, as do those that write."""
    rng = np.random.default_rng(0)
    source = rng.integers(-99, 99, count).astype(np.float32)
    places = rng.integers(0, count, count)
    got = on_gpu(source).gather(0, on_gpu(places)) * 2
    np.testing.assert_array_equal(got.numpy(), source[places] * 2)
    total = webtorch.zeros(count, device="webgpu").scatter_add(0, on_gpu(places), on_gpu(source))
    np.testing.assert_array_equal(total.numpy(), np.bincount(places, source, count).astype(np.float32))
    largest = webtorch.zeros(count, device="webgpu").scatter_reduce(0, on_gpu(places), on_gpu(source), "amax")
    wanted = np.zeros(count, np.float32)
    np.maximum.at(wanted, places, source)
    np.testing.assert_array_equal(largest.numpy(), wanted)
    order = rng.permutation(count)
    moved = webtorch.zeros(count, device="webgpu").scatter(0, on_gpu(order), on_gpu(source))
    np.testing.assert_array_equal(moved.numpy()[order], source)


def test_sums_without_the_adapters_own_addition():
    from webtorch.backends.wgpu import get_device

    places, values = np.random.default_rng(0).integers(0, 9, 3000), np.arange(3000.0, dtype=np.float32) % 7
    wanted = np.bincount(places, values, 9).astype(np.float32)
    for without in ((), ("shader-float32-atomic",)):
        with get_device().override_limits(without=without), debug.kernels() as ran:
            got = webtorch.zeros(9, device="webgpu").scatter_add(0, on_gpu(places), on_gpu(values))
            np.testing.assert_array_equal(got.numpy(), wanted)
        text = "".join(kernel.wgsl for kernel in ran)
        native = "shader-float32-atomic" in get_device().features and not without
        assert ("atomicAdd" in text) is native and ("atomicCompareExchangeWeak" in text) is not native


def test_what_a_wrong_index_gave_is_never_read():
    """Not after the error was caught either; nor what is computed from it, before or after."""
    x = on_gpu(np.arange(5.0, dtype=np.float32))
    good, wrong, other = x[on_gpu([1, 2])], x[on_gpu([1, 9])], x.gather(0, on_gpu([2, 7]))
    before = wrong * 2
    with pytest.raises(IndexError, match="index 9"):
        good.tolist()
    assert good.tolist() == [1, 2] and (good + 1).tolist() == [2, 3]
    written = x.clone()
    written[:2] = other
    for value, index in ((wrong, 9), (before, 9), (wrong + 1, 9), (other.sum(), 7), (written, 7), (other[:1], 7)):
        for _ in range(2):
            with pytest.raises(IndexError, match=f"index {index}"):
                value.cpu()
    assert written.fill_(3).tolist() == [3] * 5  # nothing of it is left
    assert x.tolist() == [0, 1, 2, 3, 4]


def test_what_a_replay_gave_by_a_wrong_index_is_never_read():
    x = on_gpu(np.arange(5.0, dtype=np.float32))
    pick = webtorch.compile(lambda x, index: x[index] * 2)
    for _ in range(3):
        assert pick(x, on_gpu([1, 4])).tolist() == [2, 8]
    wrong, right = pick(x, on_gpu([1, 5])), pick(x, on_gpu([0, 4]))
    with pytest.raises(IndexError, match="an index is out of bounds"):
        right.tolist()
    assert right.tolist() == [0, 8]
    for _ in range(2):
        with pytest.raises(IndexError, match="an index is out of bounds"):
            wrong.tolist()
    with pytest.raises(IndexError, match="an index is out of bounds"):
        pick(wrong, on_gpu([0, 1])).tolist()


SINGULAR, NOT_POSITIVE = [[1.0, 2.0], [2.0, 4.0]], [[1.0, 0.0], [0.0, -1.0]]


@pytest.mark.parametrize(
    ("fail", "error"),
    [
        (lambda: webtorch.linalg.cholesky(on_gpu(NOT_POSITIVE)), webtorch.linalg.LinAlgError),
        (lambda: webtorch.linalg.cholesky_ex(on_gpu(NOT_POSITIVE), check_errors=True).L, webtorch.linalg.LinAlgError),
        (lambda: webtorch.linalg.solve(on_gpu(SINGULAR), on_gpu([1.0, 0.0])), webtorch.linalg.LinAlgError),
        (lambda: webtorch.linalg.solve(on_gpu(SINGULAR), on_gpu(SINGULAR), left=False), webtorch.linalg.LinAlgError),
        (lambda: webtorch.linalg.inv(on_gpu(SINGULAR)), webtorch.linalg.LinAlgError),
        (lambda: webtorch.linalg.lu_factor(on_gpu(SINGULAR)).LU, webtorch.linalg.LinAlgError),
        (lambda: webtorch.linalg.lu_factor(on_gpu(SINGULAR)).pivots, webtorch.linalg.LinAlgError),
        (lambda: webtorch.multinomial(on_gpu([0.0, -1.0, 2.0]), 2, replacement=True), RuntimeError),
        (lambda: webtorch.multinomial(on_gpu([[0.0, float("nan"), 2.0]]), 2), RuntimeError),
    ],
)
def test_what_a_failed_factorisation_or_draw_gave_is_refused_at_every_read(fail, error):
    x = on_gpu([1.0, 2.0])
    doubled = x * 2
    result = fail()
    later = (result + 1) * 2
    with pytest.raises(error):
        result.numpy()
    assert doubled.tolist() == [2, 4] and x.tolist() == [1, 2]
    for wrong in (result, later, result.clone(), later.sum(), result[..., 0]):
        with pytest.raises(error):
            wrong.numpy()
    right = webtorch.linalg.inv(on_gpu([[2.0, 0.0], [0.0, 4.0]]))
    assert right.tolist() == [[0.5, 0.0], [0.0, 0.25]]
