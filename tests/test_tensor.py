"""Making, moving, reading and copying tensors, and random numbers that are the same on every device."""

import copy
import io
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from programs import Programs, error
from sampling import missing_on_gpu

import webtorch
from webtorch.errors import DTypeError, ShapeError

program = Programs("tensor")
quiet = [HealthCheck.too_slow, HealthCheck.data_too_large]


# ---- programs -------------------------------------------------------------------------------------------------------


@program
def default_dtypes(m):
    for data in [
        1, 1.5, True, [1, 2], [1.0, 2], [True, False], [True, 2], [1, 2.5, False], [], [[]], [[], []], (1, 2), [(1, 2), [3, 4]],
        2**40, -(2**62), 3e300, float("nan"), [float("inf"), -0.0], np.float64(1.5), np.int16(3), np.float32(2), np.bool_(True),
        np.array([1.0]), np.array([1], np.int8), np.arange(3), [np.float64(1.0), np.float64(2.0)], [np.int32(1), 2], range(4),
    ]:  # fmt: skip
        yield m.tensor(data)
    yield m.tensor([1, 2], dtype=m.float32), m.tensor([1.7, -1.7], dtype=m.int64), m.tensor([0, 2, -1], dtype=m.bool)
    yield (
        m.tensor([0.0, 0.5], dtype=m.bool),
        m.tensor(300.0, dtype=m.float16),
        m.tensor([1, 0], dtype=m.uint8),
        m.tensor(True, dtype=m.float32),
    )
    yield m.tensor([m.tensor(1.0), m.tensor(2.0)]), m.tensor([[m.tensor(1), 2], [3, m.tensor(4)]])


@program
def the_default_dtype_can_be_changed(m):
    before = m.get_default_dtype()
    try:
        m.set_default_dtype(m.float16)
        yield m.tensor(1.5), m.zeros(2), m.ones(1) + 1.5, m.arange(0.0, 1.0, 0.5), m.arange(2), m.tensor([1, 2]) / 2
    finally:
        m.set_default_dtype(before)
    yield m.tensor(1.5), before is m.float32


@program
def constants(m):
    yield (
        m.zeros(2, 3),
        m.zeros((2, 3)),
        m.zeros([2]),
        m.zeros(2, dtype=m.int32),
        m.zeros(()),
        m.zeros(0, 2),
        m.ones(2, 1, dtype=m.bool),
    )
    yield (
        m.full((2,), 7),
        m.full((2,), 7.0),
        m.full((1, 2), True),
        m.full((2,), 3, dtype=m.float16),
        m.full((), 2.5),
        m.full([2], float("nan")),
    )
    yield m.full((3,), -1, dtype=m.int8), m.full((2,), 2**40), m.full((2,), 1.0, dtype=m.bool)
    x = m.ones(2, 2, dtype=m.int16)
    yield (
        m.zeros_like(x),
        m.ones_like(x, dtype=m.float32),
        m.full_like(x, 3),
        m.full_like(x, 2.7),
        list(m.empty_like(x).shape),
        list(m.empty(2, 0).shape),
    )
    yield x.new_zeros(2), x.new_ones((1, 2)), x.new_full((2,), 9), x.new_tensor([1.5, 2.5]), list(x.new_empty(3).shape)
    yield m.eye(3), m.eye(2, 3), m.eye(3, 2, dtype=m.int64), m.eye(0), m.scalar_tensor(3)


@program
def ramps_of_integers(m):
    for dtype in (m.int16, m.int64, m.uint8):
        yield m.linspace(4.3, 50, 9, dtype=dtype), m.linspace(9.7, 0.5, 12, dtype=dtype)
    yield m.linspace(-2.5, 4.3, 8, dtype=m.int32), m.linspace(m.tensor(0.9), 7, 5, dtype=m.int64)
    yield m.arange(True), m.arange(False, 3, True), m.arange(False, 3, True, dtype=m.float32)


@program
def sums_of_numbers(m):
    for x, y in ((7, -2), (7.5, 2), (5, 1.5)):
        yield [function(x, y) for function in (m.add, m.sub, m.mul, m.div, m.true_divide, m.floor_divide)]
    yield m.add(True, True), m.view_as_real(m.mul(1 + 2j, 3)), m.div(7, 2, rounding_mode="trunc"), m.add(1, 2, alpha=3)
    yield error(TypeError, "ust be", lambda: m.maximum(1, 2))


@program
def summed_to_size(m):
    for dtype in (m.int32, m.bool, m.float32):
        x = m.ones(2, 3, dtype=dtype)
        yield [x.sum_to_size(size) for size in ((), (1,), (3,), (1, 3), (2, 3))]
    yield m.ones((), dtype=m.uint8).sum_to_size(())
    yield m.as_strided_copy(m.arange(6), (2, 2), (2, 1), storage_offset=1)


@program
def ramps(m):
    yield (
        m.arange(5),
        m.arange(1, 4),
        m.arange(1, 10, 3),
        m.arange(5, 0, -2),
        m.arange(0),
        m.arange(3, 3),
        m.arange(2.5),
        m.arange(0, 1, 0.25),
    )
    yield (
        m.arange(1, 2.5, 0.5),
        m.arange(5, dtype=m.float32),
        m.arange(3, dtype=m.uint8),
        m.arange(4, dtype=m.float16),
        m.arange(2**40, 2**40 + 3),
    )
    yield m.arange(-3, 3), m.arange(1.0, -1.0, -0.5), m.arange(m.tensor(3)), m.arange(0, 10, 4, dtype=m.int8)
    yield (
        m.linspace(0, 1, 5),
        m.linspace(-2, 2, 4),
        m.linspace(3, 3, 3),
        m.linspace(0, 10, 1),
        m.linspace(1, 0, 0),
        m.linspace(0, 1, 3, dtype=m.float16),
    )
    yield error(RuntimeError, "step must be nonzero", lambda: m.arange(0, 3, 0))
    yield error(RuntimeError, "upper bound and lower bound inconsistent with step sign", lambda: m.arange(3, 0))
    yield error(RuntimeError, "unsupported range", lambda: m.arange(0, float("inf")))
    yield error(RuntimeError, "number of steps must be non-negative", lambda: m.linspace(0, 1, -1))


@program
def written_into_out(m):
    x = m.zeros(2, 3)
    m.ones(2, 3, out=x)
    yield x
    y = m.zeros(4, dtype=m.int64)
    m.arange(4, out=y)
    yield y


@program
def copies_and_shares(m):
    x = m.tensor([1.0, 2.0])
    yield m.as_tensor(x) is x, m.tensor([0]).new_tensor([1]).tolist(), m.asarray(x) is x
    y = m.as_tensor(x, dtype=m.float64)
    yield y, x.to(m.float32) is x, x.float() is x, x.contiguous() is x, x.clone() is x, x.to(m.float32, copy=True) is x
    z = x.clone()
    z[0] = 9.0
    yield (
        x,
        z,
        x.to(m.int64),
        x.type(m.float16),
        x.half().float(),
        x.double().dtype == m.float64,
        x.bool(),
        x.int(),
        x.long(),
    )
    yield x.to(y).dtype == m.float64, x.type_as(m.tensor(1)).dtype == m.int64


@program
def conversions(m):
    x = m.tensor([-1.7, 0.0, 0.4, 1.5, 2.5, 100.0])
    for dtype in (m.int64, m.int32, m.int16, m.int8, m.bool, m.float16, m.float64):
        yield x.to(dtype)
    whole = m.tensor([-1, 0, 1, 127, 200, 70000, 2**31 - 1])
    for dtype in (m.int32, m.int16, m.int8, m.uint8, m.bool, m.float32, m.float16):
        yield whole.to(dtype)
    yield (
        m.tensor([True, False]).to(m.float32),
        m.tensor([True, False]).to(m.int64),
        m.tensor([1e-8, 6e4, 7e4, -0.0]).half(),
    )
    yield m.tensor([2**24 + 1, 2**53 + 1, -(2**62)]).float(), m.tensor([float("nan"), 0.0]).bool()


@program
def reading(m):
    x = m.tensor([[1.5, -2.0], [0.0, 4.0]])
    yield (
        x.tolist(),
        x[0, 0].item(),
        x[0].tolist(),
        m.tensor(3).item(),
        m.tensor(True).item(),
        m.tensor([[7]]).item(),
        m.tensor([]).tolist(),
    )
    yield (
        m.tensor(2**40 + 1).item(),
        m.tensor([2**62, -1]).tolist(),
        m.tensor(0.1, dtype=m.float16).item(),
        m.tensor(0.1).item(),
    )
    yield (
        float(m.tensor([2.5])),
        int(m.tensor(2.9)),
        bool(m.tensor([0.0])),
        len(x),
        [row.tolist() for row in x],
        m.zeros(0, 3).tolist(),
    )
    yield 1.5 in x, 9.0 in x, [0, 1, 2][m.tensor(1)], f"{m.tensor(1.23456):.2f}", m.tensor(3).__index__()
    yield (
        m.tensor([1, 2]).numpy(),
        x.t().numpy(),
        x[:, 1].numpy(),
        np.asarray(x),
        np.array(x, dtype=np.int64),
        x.__array__().dtype == np.float32,
    )
    yield error(RuntimeError, "cannot be converted to Scalar", lambda: x.item())
    yield error(RuntimeError, "cannot be converted to Scalar", lambda: m.tensor([]).item())
    yield error(RuntimeError, "Boolean value of Tensor with more than one value is ambiguous", lambda: bool(x))
    yield error(TypeError, "len() of a 0-d tensor", lambda: len(m.tensor(1)))
    yield error(TypeError, "iteration over a 0-d tensor", lambda: list(m.tensor(1)))
    yield error(
        TypeError, "only integer tensors of a single element can be converted to an index", lambda: [1][m.tensor(0.5)]
    )
    yield error(
        RuntimeError,
        "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.",
        lambda: m.ones(1, requires_grad=True).numpy(),
    )


@program
def geometry(m):
    x = m.zeros(2, 3, 4)
    yield (
        list(x.shape),
        list(x.size()),
        x.size(-1),
        x.dim(),
        x.ndim,
        x.numel(),
        x.nelement(),
        list(x.stride()),
        x.stride(1),
        x.element_size(),
        x.nbytes,
    )
    y = x.permute(2, 0, 1)[1:, :, ::2]
    yield (
        list(y.shape),
        list(y.stride()),
        y.storage_offset(),
        y.is_contiguous(),
        x.is_contiguous(),
        x.is_floating_point(),
        x.is_complex(),
    )
    yield (
        x.shape == (2, 3, 4),
        x.shape[1],
        list(x.shape[1:]),
        x.shape.numel(),
        x.is_signed(),
        m.tensor([1], dtype=m.uint8).is_signed(),
    )
    yield (
        list(m.broadcast_shapes((2, 1), (3,))),
        m.is_tensor(x),
        m.is_tensor(1),
        m.numel(x),
        x.requires_grad,
        x.is_leaf,
        x.itemsize,
    )


@program
def promotion_in_operations(m):
    tensors = [
        m.tensor([1, 2], dtype=dtype) for dtype in (m.bool, m.uint8, m.int8, m.int32, m.int64, m.float16, m.float32)
    ]
    zero_dim = [m.tensor(1, dtype=dtype) for dtype in (m.bool, m.uint8, m.int64, m.float16, m.float32)]
    for x in tensors:
        for y in [*tensors, *zero_dim, 2, 2.5]:
            yield str((x * y).dtype).split(".")[1]
            yield str((y * x).dtype).split(".")[1]
    yield [str((x / 2).dtype).split(".")[1] for x in tensors], [str(x.sum().dtype).split(".")[1] for x in tensors]
    yield [str((x + True).dtype).split(".")[1] for x in tensors], [str(x.exp().dtype).split(".")[1] for x in tensors]
    yield (
        m.tensor([200], dtype=m.uint8) + m.tensor([100], dtype=m.uint8),
        m.tensor([100], dtype=m.int8) * 2,
        m.tensor([5]) // 2,
        m.tensor([-5]) % 3,
    )
    yield m.tensor([1, 2]) / m.tensor([2, 2]), m.tensor(5) / 2, m.tensor([1]) == 1.0, m.tensor([3]) > 2.5
    x = m.tensor([1, 2])
    yield error(RuntimeError, "can't be cast to the desired output type", lambda: x.add_(1.5))
    yield error(RuntimeError, "can't be cast to the desired output type", lambda: x.div_(2))
    x += True
    yield x


@program
def copying(m):
    x = m.tensor([1.0, 2.0], requires_grad=True)
    (x * 3).sum().backward()
    y = copy.deepcopy(x)
    yield y, y.requires_grad, y.is_leaf, y.grad, y.grad is x.grad
    with m.no_grad():
        y.add_(5)
    yield x, y
    both = copy.deepcopy([x, x])
    yield both[0] is both[1], copy.copy(x) is x
    yield error(RuntimeError, "Only Tensors created explicitly by the user", lambda: copy.deepcopy(x * 2))
    z = pickle.loads(pickle.dumps(x.detach()))
    yield z, z.requires_grad, pickle.loads(pickle.dumps(x)).requires_grad


@pytest.mark.parametrize("name", program.names())
def test_program(name, device):
    program.check(name, device)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("name", program.names())
def test_program_means_the_same_to_pytorch(name):
    program.check_torch(name)


# ---- numpy arrays of every kind -------------------------------------------------------------------------------------

SUPPORTED = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]


def on_device(array, device):
    """float64 does not exist on every GPU: there it must say so."""
    try:
        return webtorch.tensor(array, device=device)
    except DTypeError as problem:
        assert device == "webgpu" and array.dtype == np.float64, problem
        assert "float64" in str(problem) and "cpu" in str(problem) and "float32" in str(problem)
        return None


@st.composite
def arrays_of_any_layout(draw):
    """Arrays of supported dtypes, either byte order, with steps, reversed, transposed, broadcast, read-only, unaligned."""
    dtype = np.dtype(draw(st.sampled_from(SUPPORTED))).newbyteorder(draw(st.sampled_from("<>")))
    shape = draw(st.sampled_from([(), (1,), (5,), (3, 4), (0, 3), (2, 3, 2), (1, 1, 4)]))
    array = draw(arrays.arrays(dtype, shape, elements=arrays.from_dtype(dtype, allow_nan=False)))
    for _ in range(draw(st.integers(0, 3))):
        way = draw(st.sampled_from(["step", "reverse", "transpose", "broadcast", "frozen", "fortran", "record"]))
        if way == "step" and array.ndim:
            array = array[..., ::2]
        elif way == "reverse" and array.ndim:
            array = array[::-1]
        elif way == "transpose":
            array = array.T
        elif way == "broadcast":
            array = np.broadcast_to(array, (2, *array.shape))
        elif way == "frozen":
            array = array.view()
            array.flags.writeable = False
        elif way == "fortran":
            array = np.asfortranarray(array)
        elif way == "record":  # elements between odd bytes
            records = np.zeros(array.shape, [("before", "u1"), ("value", array.dtype), ("after", "u2")])
            records["value"] = array
            array = records["value"]
    return array


@settings(max_examples=200, deadline=None, suppress_health_check=quiet, derandomize=True)
@given(array=arrays_of_any_layout())
def test_arrays_come_in_right(array):
    for make in (webtorch.tensor, webtorch.as_tensor, webtorch.from_numpy):
        try:
            made = make(array)
        except DTypeError as problem:
            assert make is not webtorch.tensor and not array.dtype.isnative and "byte order" in str(problem)
            continue
        assert made.numpy().dtype == array.dtype.newbyteorder("=") and made.shape == array.shape
        np.testing.assert_array_equal(made.numpy(), array)
        np.testing.assert_array_equal((made + 0).numpy() if made.dtype is not webtorch.bool else made.numpy(), array)


@pytest.mark.gpu
@settings(max_examples=60, deadline=None, suppress_health_check=quiet, derandomize=True)
@given(array=arrays_of_any_layout())
def test_arrays_come_in_right_on_webgpu(array):
    assume(array.dtype.itemsize < 8 or array.dtype.kind != "f" or not missing_on_gpu("float64"))
    made = on_device(array, "webgpu")
    if made is not None:
        assert made.device.type == "webgpu" and made.numpy().dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(made.numpy(), array)
        np.testing.assert_array_equal(made.cpu().numpy(), array)


REFUSED = {
    "uint16": (np.array([1], np.uint16), DTypeError, "uint16"),
    "uint64": (np.array([1], np.uint64), DTypeError, "uint64"),
    "long double": (np.array([1], np.longdouble), DTypeError, "float128|longdouble|float96"),
    "object": (np.array([object()]), TypeError, "object"),
    "objects": (np.array([1, None], object), TypeError, "NoneType|object"),
    "text": (np.array(["a"]), DTypeError, "<U1"),
    "bytes": (np.array([b"a"]), DTypeError, "S1"),
    "time": (np.array(["2020-01-01"], "datetime64[D]"), DTypeError, "datetime64"),
    "span": (np.array([1], "timedelta64[s]"), DTypeError, "timedelta64"),
    "record": (np.zeros(2, [("a", "f4"), ("b", "i4")]), DTypeError, "void|'a'"),
    "str": ("abc", TypeError, "str"),
    "word": (["a", "b"], TypeError, "str"),
    "None": (None, TypeError, "NoneType"),
    "Nones": ([1.0, None], TypeError, "NoneType"),
    "dict": ({"a": 1}, TypeError, "dict"),
    "dicts": ([{}], TypeError, "dict"),
    "set": ({1, 2}, TypeError, "set"),
    "function": (len, TypeError, "function"),
    "object()": (object(), TypeError, "object"),
    "ragged": ([[1, 2], [3]], ShapeError, r"lengths \[1, 2\]"),
    "deeply ragged": ([[[1], [2, 3]], [[1], [2]]], (ShapeError, TypeError), "sequence|length"),
    "mixed depth": ([1, [2]], ShapeError, "length"),
    "too large": (2**63, (DTypeError, RuntimeError, OverflowError), "large|overflow|convert"),
    "far too large": ([10**30], (DTypeError, RuntimeError, OverflowError), "large|overflow|convert"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_number_is_refused(case, device):
    data, kind, words = REFUSED[case]
    with pytest.raises(kind, match=words) as caught:
        webtorch.tensor(data, device=device)
    assert "tensor" in str(caught.value) and len(str(caught.value)) > 20


def test_range_and_finiteness_are_checked():
    for data, dtype in [
        (300, "uint8"),
        (-256, "uint8"),
        ([127, 128], "int8"),
        (2**31, "int32"),
        (1e10, "int32"),
        (-5.5, "uint8"),
    ]:
        with pytest.raises(DTypeError, match="cannot be converted to type .* without overflow"):
            webtorch.tensor(data, dtype=dtype)
    for data in (float("nan"), [1.0, float("inf")]):
        with pytest.raises((ValueError, TypeError), match="NaN or infinity"):
            webtorch.tensor(data, dtype=webtorch.int64)


def test_sequences_of_arrays_and_lookalikes():
    class Lookalike:
        def __array__(self, dtype=None, copy=None):
            return np.array([1.0, 2.0])

    assert webtorch.tensor(Lookalike()).tolist() == [1.0, 2.0]
    assert webtorch.tensor([np.array([1, 2]), np.array([3, 4])]).tolist() == [[1, 2], [3, 4]]
    assert webtorch.tensor([2**63], dtype=webtorch.float32).item() == 2.0**63
    assert webtorch.tensor(10**20, dtype=webtorch.float32).item() == float(np.float32(1e20))


# ---- sharing memory with numpy --------------------------------------------------------------------------------------


def test_from_numpy_shares_memory():
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    for view in (array, array[1:, ::2], array[::-1], array.T, array[:, 1], array[2]):
        made = webtorch.from_numpy(view)
        assert np.shares_memory(made.numpy(), view)
        made.mul_(2)
        np.testing.assert_array_equal(made.numpy(), view)
        view[...] = 5
        assert (made == 5).all()
        array[...] = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert array[0, 1] == 1


def test_numpy_shares_memory_with_a_cpu_tensor():
    x = webtorch.zeros(2, 3)
    array = x.numpy()
    array[0, 0] = 7
    x[1] = 3.0
    assert x[0, 0].item() == 7 and array[1].tolist() == [3, 3, 3]
    assert (
        np.shares_memory(x.t().numpy(), array)
        and np.shares_memory(np.asarray(x), array)
        and np.shares_memory(x[1:].numpy(), array)
    )
    copied = np.array(x)
    copied[:] = -1
    assert x[0, 0].item() == 7
    assert webtorch.as_tensor(array).data_ptr() == x.data_ptr() and webtorch.tensor(array).data_ptr() != x.data_ptr()
    x.add_(1)
    assert array[0, 0] == 8
    x.zero_()
    assert array.sum() == 0


def test_results_do_not_share_memory():
    """Only views do: a result that happens to equal its input is memory of its own."""
    x = webtorch.ones(4)
    for result in (
        x + 0, x * 1, x.clone(), x.abs(), x.sum(0, keepdim=True), webtorch.cat([x]), x.to(webtorch.float32, copy=True),
        x[[0, 1, 2, 3]], x.expand(1, 4).contiguous().clone(), webtorch.where(x > 0, x, x), x.max(0, keepdim=True)[0],
    ):  # fmt: skip
        result.zero_()
        assert x.tolist() == [1, 1, 1, 1]


def test_read_only_arrays_are_copied():
    array = np.arange(3.0)
    array.flags.writeable = False
    made = webtorch.from_numpy(array)
    made.add_(1)
    assert array.tolist() == [0, 1, 2] and made.tolist() == [1, 2, 3]
    wide = webtorch.from_numpy(np.broadcast_to(np.float32(1), (2, 2)))
    wide[0, 0] = 5
    assert wide.tolist() == [[5, 1], [1, 1]]


@pytest.mark.gpu
def test_numpy_of_a_gpu_tensor_is_a_copy():
    x = webtorch.zeros(3, device="webgpu")
    array = x.numpy()
    array[0] = 9
    assert x.tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="copy"):
        np.asarray(x, copy=False)
    source = np.ones(3, np.float32)
    y = webtorch.as_tensor(source, device="webgpu")
    source[0] = 7
    assert y.tolist() == [1, 1, 1]


def test_uploads_are_copies_even_while_work_is_pending(device):
    source = np.ones(4, np.float32)
    x = webtorch.tensor(source, device=device)
    y = x * 2 + 1
    source[:] = 100
    assert y.tolist() == [3, 3, 3, 3] and x.tolist() == [1, 1, 1, 1]


# ---- the array interfaces -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", SUPPORTED)
def test_dlpack(dtype, device):
    x = on_device(np.array([[0, 1, 2], [3, 4, 5]]).astype(dtype), device)
    if x is None:
        return
    out = np.from_dlpack(x)
    assert out.dtype == dtype and x.__dlpack_device__() == (1, 0)
    np.testing.assert_array_equal(out, x.numpy())
    np.testing.assert_array_equal(np.from_dlpack(x.t()[1:]), x.t()[1:].numpy())
    back = webtorch.tensor(np.from_dlpack(x))
    assert back.dtype is x.dtype and back.tolist() == x.tolist()


def test_pytorch_reads_our_tensors_and_we_its(device):
    torch = pytest.importorskip("torch")
    for dtype in SUPPORTED:
        x = on_device(np.array([[0, 1, 2], [3, 4, 5]]).astype(dtype), device)
        if x is not None:
            np.testing.assert_array_equal(torch.from_dlpack(x).numpy(), x.numpy())
    assert webtorch.tensor(torch.tensor([1.5, 2.5]), device=device).tolist() == [1.5, 2.5]


def test_dlpack_refuses_what_it_cannot():
    with pytest.raises((RuntimeError, BufferError), match="grad"):
        np.from_dlpack(webtorch.ones(1, requires_grad=True))
    x = webtorch.zeros(3)
    np.from_dlpack(x)  # shares
    assert np.shares_memory(np.from_dlpack(x), x.numpy())


@pytest.mark.gpu
def test_dlpack_from_a_gpu_is_a_copy():
    x = webtorch.zeros(3, device="webgpu")
    with pytest.raises(BufferError, match="copy"):
        np.from_dlpack(x, copy=False)


def test_numpy_functions_take_tensors(device):
    x = webtorch.tensor([1.0, 4.0, 9.0], device=device)
    assert np.sqrt(np.asarray(x)).tolist() == [1, 2, 3] and np.sum(x.numpy()) == 14 and np.stack([x, x]).shape == (2, 3)
    made = np.float32(2) * x  # the tensor's operator wins over numpy's
    assert isinstance(made, webtorch.Tensor) and made.tolist() == [2, 8, 18]
    assert isinstance(np.array([1.0, 2.0, 3.0], np.float32)[0] + x, webtorch.Tensor)


# ---- moving ---------------------------------------------------------------------------------------------------------


@pytest.mark.gpu
def test_moving():
    x = webtorch.arange(6).reshape(2, 3)
    y = x.to("webgpu")
    assert (
        y.device.type == "webgpu" and y.is_webgpu and not y.is_cpu and y.tolist() == x.tolist() and y.dtype is x.dtype
    )
    assert y.to("webgpu") is y and x.to("cpu") is x and x.cpu() is x and y.cpu().tolist() == x.tolist()
    assert x.t()[1:].to("webgpu").tolist() == x.t()[1:].tolist() and y.t()[1:].cpu().tolist() == x.t()[1:].tolist()
    assert y.to(webtorch.float32).device.type == "webgpu" and y.to("cpu", webtorch.float32).dtype is webtorch.float32
    assert x.to(y).device.type == "webgpu" and webtorch.zeros(0, 2).to("webgpu").cpu().shape == (0, 2)
    assert webtorch.tensor(y, device="cpu").device.type == "cpu" and webtorch.as_tensor(y) is y
    w = webtorch.tensor([1.0, 2.0], requires_grad=True)
    (w.to("webgpu") * 3).sum().to("cpu").backward()
    assert w.grad.tolist() == [3, 3] and w.grad.device.type == "cpu"
    assert (webtorch.ones(2, device="webgpu") + webtorch.tensor(1.0)).tolist() == [2, 2]  # a 0-d cpu tensor goes along


@pytest.mark.gpu
def test_printing_on_webgpu():
    assert repr(webtorch.tensor([1.5, 2.0], device="webgpu")) == "tensor([1.5000, 2.0000], device='webgpu:0')"
    assert repr(webtorch.tensor(3, device="webgpu") + 1) == "tensor(4, device='webgpu:0')"
    assert repr(webtorch.zeros(0, 2, device="webgpu")) == "tensor([], device='webgpu:0', size=(0, 2))"
    x = webtorch.ones(2, device="webgpu", requires_grad=True)
    assert repr(x) == "tensor([1., 1.], device='webgpu:0', requires_grad=True)"
    assert repr(x * 2) == "tensor([2., 2.], device='webgpu:0', grad_fn=<MulBackward0>)"
    with webtorch.device("webgpu"):
        assert repr(webtorch.tensor([True])) in ("tensor([True])", "tensor([True], device='webgpu:0')")
    assert "..." in repr(webtorch.arange(5000, device="webgpu"))


# ---- copies ---------------------------------------------------------------------------------------------------------


@pytest.mark.gpu
def test_copies_stay_on_their_device():
    x = webtorch.tensor([1.0, 2.0], device="webgpu", requires_grad=True)
    y = copy.deepcopy(x)
    assert y.device.type == "webgpu" and y.requires_grad and y.tolist() == [1, 2]
    with webtorch.no_grad():
        y.add_(1)
    assert x.tolist() == [1, 2]
    z = pickle.loads(pickle.dumps(x))
    assert z.device.type == "webgpu" and z.requires_grad and z.tolist() == [1, 2]


@pytest.mark.parametrize("dtype", SUPPORTED)
def test_pickling_every_dtype(dtype, device):
    x = on_device(np.array([[1, 0], [2, 3]]).astype(dtype), device)
    if x is None:
        return
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        file = io.BytesIO()
        pickle.dump({"x": x, "view": x.t()[1:]}, file, protocol)
        file.seek(0)
        back = pickle.load(file)
        assert back["x"].dtype is x.dtype and back["x"].tolist() == x.tolist() and back["x"].device == x.device
        assert back["view"].tolist() == x.t()[1:].tolist()


# ---- random numbers -------------------------------------------------------------------------------------------------

DRAWS = {
    "rand": lambda device: webtorch.rand(1000, device=device),
    "rand of a shape": lambda device: webtorch.rand(3, 5, 7, device=device),
    "rand in float16": lambda device: webtorch.rand(100, device=device, dtype=webtorch.float16),
    "randn": lambda device: webtorch.randn(1001, device=device),
    "randn in float16": lambda device: webtorch.randn(64, device=device, dtype=webtorch.float16),
    "randint": lambda device: webtorch.randint(0, 10, (500,), device=device),
    "randint negative": lambda device: webtorch.randint(-7, 13, (50, 3), device=device),
    "randint of one argument": lambda device: webtorch.randint(3, (40,), device=device),
    "randint of 31 bits": lambda device: webtorch.randint(0, 2**31, (100,), device=device),
    "randint of 32 bits": lambda device: webtorch.randint(-(2**31), 2**31, (100,), device=device),
    "randint of 40 bits": lambda device: webtorch.randint(0, 2**40, (100,), device=device),
    "randint as int32": lambda device: webtorch.randint(0, 100, (100,), device=device, dtype=webtorch.int32),
    "randint as uint8": lambda device: webtorch.randint(0, 256, (100,), device=device, dtype=webtorch.uint8),
    "randperm": lambda device: webtorch.randperm(300, device=device),
    "bernoulli": lambda device: webtorch.bernoulli(webtorch.full((200,), 0.3, device=device)),
    "bernoulli_": lambda device: webtorch.zeros(200, device=device).bernoulli_(0.7),
    "uniform_": lambda device: webtorch.zeros(200, device=device).uniform_(0, 4),
    "normal_": lambda device: webtorch.zeros(200, device=device).normal_(),
    "random_": lambda device: webtorch.zeros(50, device=device, dtype=webtorch.int64).random_(0, 1000),
    "dropout": lambda device: webtorch.dropout(webtorch.ones(500, device=device), 0.5, True),
    "rand_like": lambda device: webtorch.rand_like(webtorch.zeros(30, device=device)),
    "randn_like": lambda device: webtorch.randn_like(webtorch.zeros(30, device=device)),
    "randint_like": lambda device: webtorch.randint_like(webtorch.zeros(30, device=device), 5),
}


def bits_of(x):
    array = x.numpy()
    return array.dtype, array.shape, array.tobytes()


@pytest.mark.gpu
@pytest.mark.parametrize("draw", DRAWS)
def test_the_same_bits_on_both_devices(draw):
    webtorch.manual_seed(1234)
    first = DRAWS[draw]("cpu"), DRAWS[draw]("cpu")
    webtorch.manual_seed(1234)
    second = DRAWS[draw]("webgpu"), DRAWS[draw]("webgpu")
    assert second[0].device.type == "webgpu"
    assert bits_of(first[0]) == bits_of(second[0]) and bits_of(first[1]) == bits_of(second[1])
    assert bits_of(first[0]) != bits_of(first[1])


@pytest.mark.gpu
def test_the_order_of_computing_does_not_matter():
    """A draw is fixed when it is asked for, not when a kernel runs."""
    webtorch.manual_seed(5)
    a, b = webtorch.randn(10, device="webgpu"), webtorch.rand(10, device="webgpu")
    values = b.tolist(), a.tolist()
    webtorch.manual_seed(5)
    a, b = webtorch.randn(10), webtorch.rand(10)
    assert values == (b.tolist(), a.tolist())


def test_distributions(device):
    """Means and spreads, to within about five standard errors."""
    webtorch.manual_seed(0)
    n = 100_000
    u = webtorch.rand(n, device=device).numpy().astype(np.float64)
    assert u.min() >= 0 and u.max() < 1 and abs(u.mean() - 0.5) < 0.005 and abs(u.var() - 1 / 12) < 0.002
    z = webtorch.randn(n, device=device).numpy().astype(np.float64)
    assert (
        abs(z.mean()) < 0.016
        and abs(z.var() - 1) < 0.025
        and abs((z**4).mean() - 3) < 0.15
        and 3.5 < np.abs(z).max() < 7
    )
    assert abs(np.mean(np.abs(z) > 1.959964) - 0.05) < 0.004
    k = webtorch.randint(0, 7, (n,), device=device).numpy()
    counts = np.bincount(k, minlength=7)
    assert counts.size == 7 and ((counts - n / 7) ** 2 / (n / 7)).sum() < 30
    p = webtorch.randperm(1000, device=device).numpy()
    assert sorted(p.tolist()) == list(range(1000)) and abs(np.corrcoef(p, np.arange(1000))[0, 1]) < 0.16
    b = webtorch.bernoulli(webtorch.full((n,), 0.25, device=device)).numpy()
    assert set(b.tolist()) == {0.0, 1.0} and abs(b.mean() - 0.25) < 0.008
    d = webtorch.dropout(webtorch.ones(n, device=device), 0.2).numpy()
    assert set(d.tolist()) == {0.0, 1.25} and abs(d.mean() - 1) < 0.008
    e = webtorch.zeros(n, device=device).normal_(3, 2).numpy()
    assert abs(e.mean() - 3) < 0.035 and abs(e.std() - 2) < 0.025


def test_generators(device):
    g, h = webtorch.Generator(), webtorch.Generator().manual_seed(7)
    g.manual_seed(7)
    first = webtorch.rand(5, generator=g, device=device)
    state = g.get_state()
    second = webtorch.randn(5, generator=g, device=device)
    assert webtorch.equal(first, webtorch.rand(5, generator=h, device=device))
    g.set_state(state)
    assert webtorch.equal(second, webtorch.randn(5, generator=g, device=device))
    assert g.initial_seed() == 7 and g.seed() == g.initial_seed()
    twin = h.clone_state()
    assert webtorch.equal(
        webtorch.randint(100, (9,), generator=twin, device=device),
        webtorch.randint(100, (9,), generator=h, device=device),
    )
    # The default generator is left alone by others.
    webtorch.manual_seed(3)
    expected = webtorch.rand(3)
    webtorch.manual_seed(3)
    webtorch.rand(10, generator=g)
    assert webtorch.equal(webtorch.rand(3), expected)
    saved = webtorch.get_rng_state()
    expected = webtorch.rand(2)
    webtorch.set_rng_state(saved)
    assert webtorch.equal(webtorch.rand(2), expected) and webtorch.initial_seed() == 3


def test_seeds():
    draws = {
        seed: tuple(webtorch.rand(4, generator=webtorch.Generator().manual_seed(seed)).tolist())
        for seed in (0, 1, -1, 2**63, 2**64 - 1, 2**32)
    }
    assert draws[-1] == draws[2**64 - 1] and len(set(draws.values())) == 5
    for seed in (2**64, -(2**63) - 1):
        with pytest.raises((ValueError, RuntimeError), match="overflow"):
            webtorch.manual_seed(seed)
    with pytest.raises((ShapeError, TypeError), match="state"):
        webtorch.set_rng_state(webtorch.zeros(3))


def test_random_arguments_are_checked(device):
    with webtorch.device(device):
        for call in (
            lambda: webtorch.randint(5, 5, (2,)), lambda: webtorch.randint(3, 1, (2,)), lambda: webtorch.randperm(-1),
            lambda: webtorch.rand(-1), lambda: webtorch.rand(2, dtype=webtorch.int64), lambda: webtorch.randn(2, dtype=webtorch.bool),
            lambda: webtorch.dropout(webtorch.ones(2), 1.5),
        ):  # fmt: skip
            with pytest.raises((RuntimeError, TypeError, ValueError), match=r"\w{4}"):
                call()
        assert (
            webtorch.rand(0).shape == (0,)
            and webtorch.randperm(0).tolist() == []
            and webtorch.randint(5, (0, 2)).shape == (0, 2)
        )
        assert webtorch.rand(()).shape == () and webtorch.randn(2, requires_grad=True).requires_grad
        assert webtorch.dropout(webtorch.ones(3), 1.0).tolist() == [0, 0, 0] and webtorch.dropout(
            webtorch.ones(3), 0.0
        ).tolist() == [1, 1, 1]


def test_dropout_keeps_the_mask_for_its_gradient(device):
    with webtorch.device(device):
        x = webtorch.ones(200, requires_grad=True)
        y = webtorch.dropout(x, 0.4)
        y.sum().backward()
        assert webtorch.equal(y.detach(), x.grad) and 0 < (x.grad == 0).sum().item() < 200
