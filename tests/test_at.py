"""`Tensor.at`, torch.js's indexing, compared with numpy's, on both devices."""

import numpy as np
import pytest

import webtorch
from webtorch.errors import ShapeError

ARRAY = np.arange(60).reshape(3, 4, 5)
EVERY = slice(None)
MASK = np.array([True, False, True, True])

# The descriptions, and numpy's way to say the same.
CASES = [
    ((1,), (1,)),
    ((-1, 2), (-1, 2)),
    (((0, 2),), (slice(0, 2),)),
    (([0, 2], (1, None)), (slice(0, 2), slice(1, None))),
    ((None, (None, None, -1)), (EVERY, slice(None, None, -1))),
    (("...", 0), (..., 0)),
    ((..., (0, 5, 2)), (..., slice(0, 5, 2))),
    ((0, ..., 1), (0, ..., 1)),
    (((2, -1, -1),), (slice(None, None, -1),)),  # an end of -1 with a negative step is before the first element
    (((-1, -3, -1),), (slice(-1, -3, -1),)),
    (((2, 1),), (slice(2, 1),)),
    (((0, 99),), (slice(0, 99),)),
    (([[0, 2], [1, 4, 2]],), (slice(0, 2), slice(1, 4, 2))),
    ((), ()),
    ((None, None, None), (EVERY,)),
]


@pytest.mark.parametrize("specs, index", CASES)
def test_as_numpy(specs, index, device):
    x = webtorch.tensor(ARRAY, device=device)
    found = x.at(*specs)
    assert found.tolist() == ARRAY[index].tolist()


def test_tensors_pick_along_their_own_dimension(device):
    x = webtorch.tensor(ARRAY, device=device)
    rows, columns = webtorch.tensor([2, 0], device=device), webtorch.tensor([4, 4, 1], device=device)
    assert x.at(rows, None, columns).tolist() == ARRAY[[2, 0]][:, :, [4, 4, 1]].tolist()
    assert x.at(0, webtorch.tensor(MASK, device=device)).tolist() == ARRAY[0, MASK].tolist()
    assert (
        x.at(None, webtorch.tensor(MASK, device=device), columns).tolist() == ARRAY[:, MASK][:, :, [4, 4, 1]].tolist()
    )
    whole = webtorch.tensor(ARRAY % 7 == 0, device=device)
    assert x.at(whole).tolist() == ARRAY[ARRAY % 7 == 0].tolist()


def test_gradients(device):
    x = webtorch.ones(3, 4, device=device, requires_grad=True)
    (x.at((0, 2), webtorch.tensor([1, 1], device=device)) * 2).sum().backward()
    assert x.grad.tolist() == [[0.0, 4.0, 0.0, 0.0]] * 2 + [[0.0] * 4]


@pytest.mark.parametrize("specs", [(3,), (-4,), (0, 4), (..., 5)])
def test_out_of_bounds(specs, device):
    with pytest.raises(IndexError, match=r"out of bounds.*\[3, 4, 5\]") as caught:
        webtorch.tensor(ARRAY, device=device).at(*specs)
    assert caught.value.code == "at_error_index_out_of_bounds"


@pytest.mark.parametrize(
    "specs", [(0, 0, 0, 0), (..., ...), ((0, 2, 0),), (np.ones((2, 2)) > 0,), (np.zeros((2, 2), int),)]
)
def test_shapes_that_do_not_fit(specs, device):
    specs = tuple(webtorch.tensor(spec, device=device) if isinstance(spec, np.ndarray) else spec for spec in specs)
    with pytest.raises(ShapeError, match=r"at\("):
        webtorch.tensor(ARRAY, device=device).at(*specs)


@pytest.mark.parametrize("spec", ["x", 1.5, True, (1,), (1, 2, 3, 4), (0.5, 2), {}])
def test_what_describes_nothing(spec, device):
    with pytest.raises(TypeError, match=r"at\("):
        webtorch.tensor(ARRAY, device=device).at(spec)
