"""The elementwise rows mean what PyTorch means, and their shaders compute what their numpy computes.

Three comparisons over the cases of elementwise_cases.py: numpy against recorded results of PyTorch, numpy against PyTorch
itself where it is installed, and WGSL against numpy.
"""

import functools
import pathlib

import elementwise_cases as shared
import numpy as np
import pytest
import record_goldens

import webtorch

nan, inf = float("nan"), float("inf")
CASES = {case.key: case for case in shared.cases()}
NAMES = sorted({case.name for case in CASES.values()})
UNLISTED = shared.unlisted()


def compute(case: shared.Case, arrays: list, device: str) -> webtorch.Tensor:
    operands = [webtorch.tensor(array, device=device) if isinstance(array, np.ndarray) else array for array in arrays]
    if case.name.startswith("frexp_"):
        return getattr(webtorch.frexp(*operands), case.name.removeprefix("frexp_"))
    return getattr(webtorch, case.name)(*operands, **dict(case.keywords))


@functools.cache
def goldens() -> dict[str, np.ndarray]:
    with np.load(pathlib.Path(__file__).parent / "goldens" / "elementwise.npz") as file:
        return dict(file)


def more_general(case: shared.Case) -> bool:
    """Where PyTorch wants tensors, or has no kernel for the dtype, and the call has its evident meaning here."""
    return case.name in ("clamp", "clamp_min", "clamp_max", "pow", "where") or not isinstance(case.operands[-1], str)


def check_meaning(case: shared.Case, expected: np.ndarray | None) -> None:
    arrays = case.arrays()
    try:
        got = compute(case, arrays, "cpu").numpy()
    except (RuntimeError, TypeError, ValueError):
        # bool ** True and the like: PyTorch has a result that nobody asks for.
        assert expected is None or case.key in ("pow(bool, 1)",), f"{case.key} raises here, but not in PyTorch"
        return
    if expected is None:
        assert more_general(case), f"{case.key} raises in PyTorch, but not here"
        return
    assert got.dtype == expected.dtype, f"{case.key}: {got.dtype}, in PyTorch {expected.dtype}"
    assert got.shape == expected.shape, case.key
    wrong = shared.disagreements(case, got, expected, 8, shared.ABSOLUTE.get(case.name, 0))
    if case.name in shared.DEVIATIONS:
        wrong &= ~np.broadcast_to(shared.DEVIATIONS[case.name](case, *arrays), wrong.shape)
    report(case, arrays, got, expected, wrong)


def report(case: shared.Case, arrays: list, got: np.ndarray, expected: np.ndarray, wrong: np.ndarray) -> None:
    if wrong.any():
        at = tuple(np.argwhere(wrong)[0])
        inputs = [
            np.broadcast_to(array, wrong.shape)[at].item() if isinstance(array, np.ndarray) else array
            for array in arrays
        ]
        raise AssertionError(
            f"{case.key}: {wrong.sum()} of {wrong.size} wrong, first at {inputs}: {got[at].item()!r}, expected {expected[at].item()!r}"
        )


@pytest.mark.parametrize("name", NAMES)
def test_numpy_means_what_was_recorded(name: str) -> None:
    if name in UNLISTED:
        pytest.fail("elementwise_cases.py does not name it: add a case and run record_goldens.py")
    refused = set(goldens()["refused"].tolist())
    for case in CASES.values():
        if case.name == name:
            check_meaning(case, None if case.key in refused else goldens()[case.key])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore")
def test_numpy_means_what_pytorch_means(name: str) -> None:
    torch = pytest.importorskip("torch")
    if name in UNLISTED and not hasattr(torch, name) and not hasattr(torch.nn.functional, name):
        pytest.skip("PyTorch has no such function")
    for case in CASES.values():
        if case.name == name:
            check_meaning(case, record_goldens.pytorch(case, case.arrays()))


def test_recording_is_complete() -> None:
    known = set(goldens()) - {"refused"} | set(goldens()["refused"].tolist())
    assert known == {key for key, case in CASES.items() if case.name not in UNLISTED}, (
        "run python tests/record_goldens.py"
    )


@pytest.mark.parametrize("name", ["floor_divide", "remainder", "fmod"])
def test_integers_divided_by_zero_raise(name: str) -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        getattr(webtorch, name)(webtorch.tensor([1, 2]), webtorch.tensor([1, 0]))


# Epsilons by which a shader may differ from numpy, where it is not 4. Both round.
UNITS = {"lgamma": 12}


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", shared.DTYPES)
def test_shaders_compute_what_numpy_computes(dtype: str) -> None:
    expected, pending = {}, {}
    for case in CASES.values():
        kinds = [operand for operand in case.operands if isinstance(operand, str)]
        if dtype != next((kind for kind in kinds if kind != "bool"), "bool"):
            continue
        arrays = case.arrays()
        try:
            expected[case.key] = compute(case, arrays, "cpu").numpy()
        except (RuntimeError, TypeError, ValueError):
            with pytest.raises((RuntimeError, TypeError, ValueError)):
                compute(case, arrays, "webgpu")
            continue
        try:
            pending[case.key] = compute(case, arrays, "webgpu")
        except webtorch.errors.DTypeError as error:
            # Said before anything runs, with the reason and the way out.
            assert "device='cpu'" in str(error), case.key
            assert any(reason in str(error) for reason in ("shader-int64", "shader-f64", "double-precision")), case.key
    assert len(pending) > 30 or dtype in ("float64", "int64")
    webtorch.sync_device()  # all at once, so that the kernels hold several results
    for key, result in pending.items():
        case = CASES[key]
        got = result.numpy()
        assert got.dtype == expected[key].dtype, key
        wrong = shared.disagreements(
            case, got, expected[key], UNITS.get(case.name, 4), shared.ABSOLUTE.get(case.name, 0)
        )
        report(case, case.arrays(), got, expected[key], wrong)


@pytest.mark.gpu
def test_functions_of_derivatives_compute_what_numpy_computes() -> None:
    from webtorch.ops.unary import _i1, _polygamma

    generator = np.random.default_rng(5)
    everywhere = np.append(generator.uniform(-80, 80, 500), [0, -0.0, inf, -inf, nan]).astype(np.float32)
    positive = generator.uniform(0.05, 20, 500).astype(np.float32)
    negative = (-generator.integers(0, 5, 200) - generator.uniform(0.1, 0.9, 200)).astype(np.float32)
    calls = [
        (_i1, everywhere, {}),
        (_polygamma, negative, {"n": 1}),
        *((_polygamma, positive, {"n": n}) for n in (1, 2, 3, 4)),
    ]
    for row, values, order in calls:
        expected = row(webtorch.tensor(values, device="cpu"), **order).numpy()
        got = row(webtorch.tensor(values, device="webgpu"), **order).numpy()
        case = shared.Case(row.name, ("float32",), tuple(order.items()))
        report(case, [values], got, expected, shared.disagreements(case, got, expected, 8, 0))


def test_every_row_is_tried() -> None:
    from webtorch.ops import TABLE, activation, binary, unary

    rows = {
        key
        for module in (unary, binary, activation)
        for key in vars(module)
        if key in TABLE and vars(module)[key] is TABLE[key]
    }
    public = {key for key in rows if TABLE[key].public and vars(TABLE[key]).get("name") == key}
    assert public <= set(NAMES), sorted(public - set(NAMES))
    assert len(rows) > 120
    for key in rows:
        assert TABLE[key].__doc__, key


def test_zeros_within_bounds_keep_their_sign(device):
    """As in PyTorch; on the cpu it is the processor's own maximum that keeps or loses it."""
    kept = device == "webgpu" or bool(np.signbit(np.maximum(np.zeros(9), -np.zeros(9))).all())
    for count in (1, 2, 33):
        x = webtorch.full((count,), -0.0, device=device)
        for result in (
            x.relu(), webtorch.nn.functional.relu6(x), webtorch.nn.functional.hardtanh(x, 0.0, 6.0), x.clamp(0, 6),
            x.clamp(min=0), x.clamp(max=0), x.clamp(min=webtorch.zeros(count, device=device)),
        ):  # fmt: skip
            assert np.signbit(result.numpy()).tolist() == [kept] * count
            assert not np.signbit((-x).relu().numpy()).any()
