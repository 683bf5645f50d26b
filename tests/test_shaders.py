"""Shaders and what is made of them: every file is used and compiles, narrow results leave their neighbours alone, and
adapters with small limits get the same results.
"""

import contextlib
import dataclasses
import functools
import pathlib
import re

import numpy as np
import pytest
from sampling import DTYPES, agree, need, sample

import webtorch
from webtorch import debug, engine, prelude, tuning
from webtorch.backends.wgpu import get_device
from webtorch.ops.matmul import by_lanes

SHADERS = pathlib.Path(__file__).resolve().parents[1] / "shaders"


def on_gpu(array, **given):
    return webtorch.tensor(np.asarray(array), device="webgpu", **given)


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


# ---- files ----------------------------------------------------------------------------------------------------------


@functools.cache
def kernel_files() -> tuple[str, ...]:
    """The files that hold a kernel; the others are libraries of functions."""
    return tuple(sorted(path.name for path in SHADERS.glob("*.wgsl") if "@compute" in path.read_text()))


@contextlib.contextmanager
def taken_for_a_gpu():
    """Have kernels made as for hardware, whatever adapter is here."""
    device = get_device()
    before = engine._limits_cache
    limits = dataclasses.replace(engine.limits_of(device), is_cpu=False, compiles_slowly=False)
    engine._limits_cache = (*engine._limits_cache[:2], limits)
    try:
        yield
    finally:
        engine._limits_cache = before


def attention_and_gradient():
    q = webtorch.rand(1, 9, 4, device="webgpu", requires_grad=True)
    result = webtorch.nn.functional.scaled_dot_product_attention(q, q.detach(), q.detach())
    return result.detach(), *webtorch.autograd.grad(result.sum(), q)


@pytest.mark.gpu
def test_every_kernel_file_runs():
    """A set of programs that needs every file in shaders/ that holds a kernel: each one compiles on this adapter."""

    def work():
        x = on_gpu(random(70, 100))
        results = [
            x + 1,
            on_gpu(random(256, 256)).t() + 1,
            x.sum(1),
            x.sum(),
            x @ x.t(),
            x[0] @ x[1],
            x.softmax(1),
            x[:, :3].softmax(1),
            x.t().softmax(1),
            x.cumsum(0),
        ]
        results += [
            on_gpu(random(2, 3000)).log_softmax(1),
            on_gpu(random(5, 40000)).sum(1),
            on_gpu(random(3, 3, 130)) @ on_gpu(random(3, 130, 70)),
        ]
        x[1:, ::2] = 5.0
        results += [
            x,
            x.index_add(0, webtorch.tensor([0, 0], device="webgpu"), x[:2]),
            webtorch.rand(5, device="webgpu"),
            *attention_and_gradient(),
            webtorch.searchsorted(x[0].sort().values, x[1]),
            on_gpu(random(2, 600)).argsort(1),
            webtorch.fft.fft(x[:, :14]),
            webtorch.nn.functional.layer_norm(x, (100,)),
            webtorch.nn.functional.layer_norm(x[:, :8], (8,)),
            on_gpu(random(50, 12)).sum(0),
            webtorch.nn.functional.conv2d(on_gpu(random(2, 8, 12, 12)), on_gpu(random(16, 8, 3, 3))),
            webtorch.linalg.cholesky(webtorch.eye(5, device="webgpu")),
            webtorch.linalg.solve(webtorch.eye(5, device="webgpu"), x[:5, :2]),
            webtorch.linalg.solve_triangular(webtorch.eye(5, device="webgpu"), x[:5, :2], upper=True),
        ]
        for result in results:
            result.numpy()

    with debug.kernels() as ran:
        work()
        if by_lanes():
            with tuning.force("attention", "lanes"):  # which small work would not compile
                for result in attention_and_gradient():
                    result.numpy()
        with taken_for_a_gpu():
            work()
    seen = {record.shader + ".wgsl" for record in ran}
    wanted = set(kernel_files()) - {"custom.wgsl"}  # the frame of kernels that users write: see test_extending
    if not by_lanes():  # SwiftShader's subgroups have four lanes
        wanted -= {f"{name}_lanes.wgsl" for name in ("matmul", "attention", "attention_gradient")} | {
            "matmul_windows.wgsl"
        }
    assert seen == wanted, f"never ran: {sorted(wanted - seen)}"


def test_every_library_file_is_known_to_the_tree_shaker():
    """What is no kernel is functions: each of them is found by name, so no file lies unused."""
    for path in SHADERS.glob("*.wgsl"):
        functions = re.findall(r"^fn (wt_\w+)\(", path.read_text(), re.MULTILINE)
        if path.name in kernel_files():
            assert not functions, f"{path.name} holds a kernel and library functions"
        elif path.name not in ("grid.wgsl", "grid_joined.wgsl"):  # how the workgroups of any kernel are numbered
            assert functions and set(functions) <= prelude.functions(pairs=True).keys(), path.name


@pytest.mark.gpu
def test_padding_is_no_branch():
    """SwiftShader walks every path through the body of a loop, and each branch that is no selection doubles their number:
    the sixteen paddings of four neighbours where four frames overlap, with a few tests each, took it longer than minutes."""
    pad = webtorch.ops.pad.pad
    x = on_gpu(random(3, 5))
    total = sum(pad(x * x, (row, 0), (1, 2), (6, 9), 0.0) for row in range(4))
    source = debug.wgsl(total)
    value = source[source.index("fn value(") : source.index("fn compute(")]
    assert value.count("_in = ") == 4 and "&&" not in value and "if (" not in value
    wanted = np.zeros((6, 9), np.float32)
    for row in range(4):
        wanted[row : row + 3, ::2] += x.numpy() ** 2
    np.testing.assert_allclose(total.numpy(), wanted, rtol=1e-6)


# ---- narrow results -------------------------------------------------------------------------------------------------

NARROW = ["bool", "uint8", "int8", "int16", "float16"]


@pytest.mark.gpu
@pytest.mark.parametrize("name", NARROW)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 66])
def test_narrow_results_of_all_kinds_of_kernels(name, size):
    """Two or four elements share a word of memory: many invocations write parts of one word."""
    dtype, generator = DTYPES[name], np.random.default_rng(size)
    x = webtorch.tensor(sample(generator, (size, 9), dtype, (-2.0, 2.0)))
    y = x.to("webgpu")

    def results(x):
        made = [
            x.amax(1),
            x.amin(0),
            x.any(1),
            x.all(0),
            (x.float().sum(1) > 0),
            x.float().sum(1).to(dtype),
            (x.float() @ x.float().t()).to(dtype),
        ]
        made += [
            webtorch.softmax(x.float(), 0).to(dtype),
            (webtorch.softmax(x.float(), 1) > 0.1),
            x.t().contiguous(),
            x.float().cumsum(1).to(dtype),
        ]
        if name != "bool":
            made += [x @ x.t(), x.sum(1, dtype=dtype), x.cumsum(0, dtype=dtype)]
        return made

    for number, (got, wanted) in enumerate(zip(results(y), results(x), strict=True)):
        agree(
            got.numpy(), wanted.numpy(), f"result {number} of {size} rows of {name}", rtol=2e-3, scale=20.0, atol=1e-4
        )


@pytest.mark.gpu
@pytest.mark.parametrize("name", NARROW)
def test_narrow_writes_leave_their_neighbours(name):
    """Slices of every phase and step are overwritten; everything else stays as it was."""
    dtype, generator = DTYPES[name], np.random.default_rng(0)
    array = sample(generator, (37,), dtype)
    patterns = [
        slice(0, 1),
        slice(1, 2),
        slice(2, 3),
        slice(3, 4),
        slice(1, 6),
        slice(3, 30),
        slice(5, None, 2),
        slice(None, None, 3),
        slice(2, 37, 4),
        slice(36, 37),
    ]
    for pattern in patterns:
        value = sample(generator, array[pattern].shape, dtype)
        x = on_gpu(array)
        x[pattern] = on_gpu(value)
        expected = array.copy()
        expected[pattern] = value
        agree(x.numpy(), expected, f"{name}[{pattern}]")
    x = on_gpu(array)
    x[on_gpu(np.array([0, 5, 6, 7, 36]))] = on_gpu(array[:5].copy())
    expected = array.copy()
    expected[[0, 5, 6, 7, 36]] = array[:5]
    agree(x.numpy(), expected, name)


@pytest.mark.gpu
@pytest.mark.parametrize("name", NARROW)
def test_narrow_epilogues_beside_wide_ones(name):
    """One kernel with results of several widths."""
    x, dtype = on_gpu(random(5, 5) * 10), DTYPES[name]
    webtorch.sync_device()  # whatever other tests left pending
    with debug.kernels() as ran:
        product = x @ x
        narrow, mask, wide = product.to(dtype), product > 0, product * 2
        webtorch.sync_device()
    assert len(ran) == 1 and len(ran[0].outputs) == 4
    cpu = product.cpu()
    if name not in ("uint8", "int8"):  # numbers beyond a narrow type's range are tested with the conversions
        agree(narrow.numpy(), cpu.to(dtype).numpy(), name)
    agree(mask.numpy(), (cpu > 0).numpy(), name)
    agree(wide.numpy(), (cpu * 2).numpy(), name)


# ---- small limits ---------------------------------------------------------------------------------------------------

SMALL = {
    "small bindings": {"max_binding_size": 65536},
    "few buffers": {"max_storage_buffers": 4},
    "narrow grids": {"max_workgroups_per_dimension": 255},
    "all of them": {"max_binding_size": 262144, "max_storage_buffers": 8, "max_workgroups_per_dimension": 100},
}


@pytest.mark.gpu
@pytest.mark.parametrize("limits", SMALL)
def test_small_limits_give_the_same_results(limits):
    """Tensors larger than a binding are bound in windows, kernels with too many buffers are cut, grids are folded."""
    if limits == "small bindings":
        lower = {**SMALL[limits], "max_storage_buffers": min(32, get_device().limits.max_storage_buffers)}
        rows = 150 if lower["max_storage_buffers"] >= 16 else 60
    else:
        lower = {name: min(value, getattr(get_device().limits, name)) for name, value in SMALL[limits].items()}
        rows = 200
    array, other = random(rows, 400), random(rows, 400, seed=1)
    index = np.random.default_rng(2).integers(0, rows, 50)

    def work(device):
        """A generator of results, so that what is done before does not stay in memory."""
        x, y = webtorch.tensor(array, device=device), webtorch.tensor(other, device=device)
        at = webtorch.tensor(index, device=device)
        yield "chain", (x * y + x).exp().sigmoid() - y
        yield "compare", x > y
        yield "narrow", (x * 20).to(webtorch.int8)
        yield "half", (x + y).half()
        yield "transpose", x.t().contiguous()
        yield "flip", (x.flip(0) + y[:, :1])
        yield "sum", x.sum()
        yield "rows", (x * y).sum(1)
        yield "columns", x.amax(0)
        yield "any", (x > 3).any(0)
        yield "matmul", x @ y.t()[:, :60]
        yield "matmul with epilogue", (x[:, :50] @ y[:50, :] + y[0]).relu()
        yield "softmax", x.softmax(1)
        yield "long softmax", x.reshape(-1).log_softmax(0)
        yield "cumsum", x.cumsum(1)
        yield "long cumsum", x.reshape(-1).cumsum(0)
        yield "cat", webtorch.cat([x, y, x], 0)
        yield "stack", webtorch.stack([x[:, :20]] * 12, 1)
        yield "take", x[at]
        yield "gather", x.gather(0, at.unsqueeze(1).expand(50, 400))
        yield "scatter", x.index_add(0, at, y[:50])
        z = x.clone()
        z[5:-5, ::3] = y[5:-5, ::3]
        yield "write", z
        yield "where", webtorch.where(x > 0, x, y)
        many = [x * (number + 1.5) for number in range(9)]
        yield "many inputs", functools.reduce(lambda a, b: a + b, [value.tanh() for value in many])
        parts = [webtorch.tensor(random(300, seed=number), device=device) for number in range(12)]
        yield "many buffers", functools.reduce(lambda a, b: a * 0.5 + b, parts)
        yield "random", webtorch.rand(rows * 400, device=device, generator=webtorch.Generator(device).manual_seed(3))

    failures = []
    with get_device().override_limits(**lower):
        for (name, got), (_, wanted) in zip(work("webgpu"), work("cpu"), strict=True):
            try:
                expected = wanted.numpy()
                scale = {"long cumsum": 3000.0, "cumsum": 30.0, "sum": 300.0}.get(name, 20.0)
                agree(got.numpy(), expected, f"{name} with {limits}", scale=scale)
            except Exception as failure:
                failures.append(f"{name}: {type(failure).__name__}: {str(failure)[:300]}")
    assert not failures, "\n".join(failures)


@pytest.mark.gpu
def test_small_limits_hold():
    """The limits are really met: bindings, buffers and grids of every dispatch."""
    device = get_device()
    seen = []
    real = device.dispatch

    def watch(pipeline, bindings, params, workgroups):
        seen.append((len(bindings), max((size for _, _, size in bindings), default=0), workgroups))
        return real(pipeline, bindings, params, workgroups)

    with device.override_limits(max_binding_size=65536, max_storage_buffers=8, max_workgroups_per_dimension=3):
        try:
            device.dispatch = watch
            x = on_gpu(random(60, 400))
            (x * 2 + x.t().contiguous().t()).softmax(1).sum(0).numpy()
        finally:
            del device.dispatch
    assert seen and max(count for count, _, _ in seen) <= 8 and max(size for _, size, _ in seen) <= 65536
    assert max(workgroups for _, _, workgroups in seen) > 3, "no grid was folded"


@pytest.mark.gpu
@pytest.mark.slow
def test_more_workgroups_than_one_dimension_holds():
    """65,535 workgroups fit one dimension of a grid; these need more, one workgroup holding 64 invocations of 4 elements."""
    count = 65_536 * 256 + 1000
    device = get_device()
    with device.override_limits(max_workgroup_invocations=64):
        x = webtorch.ones(count, dtype=webtorch.uint8, device="webgpu")
        y = x + webtorch.ones(1, dtype=webtorch.uint8, device="webgpu")
        y[-3:] = 7
        with debug.kernels() as ran:
            total = (y == 2).sum().item()
        assert total == count - 3
        assert y[-4:].tolist() == [2, 7, 7, 7]
        assert ran
    rows = webtorch.ones(65_536 * 64 + 77, 1, dtype=webtorch.uint8, device="webgpu").amax(1)
    assert rows.shape == (65_536 * 64 + 77,) and rows[-100:].float().sum().item() == 100


@pytest.mark.gpu
def test_results_too_large_for_one_buffer_raise():
    with pytest.raises(webtorch.ShapeError, match="bytes, more than the .* allows in one buffer"):
        webtorch.ones(1 << 34, device="webgpu").numpy()


@pytest.mark.gpu
@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype_survives_the_round_trip(name):
    need(name)
    for count in (1, 2, 3, 5, 255, 257, 1001):
        array = sample(np.random.default_rng(count), (count,), DTYPES[name])
        np.testing.assert_array_equal(on_gpu(array).numpy(), array)
        np.testing.assert_array_equal((on_gpu(array)[1:]).contiguous().numpy(), array[1:])
