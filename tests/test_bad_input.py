"""Bad input and bad luck: wrong shapes, types, devices and numbers, no driver, forks, threads, interrupts, full memory.

Every error restates the call and says what to do, and carries the torch.js name where there is one. Nothing aborts the
process, hangs, or is lost; what could is run in a process of its own.
"""

import inspect
import json
import os
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

import webtorch
from webtorch.errors import CODES, DeviceError, DTypeError, IndexShapeError, OutOfMemoryError, ShapeError

# ---- errors ---------------------------------------------------------------------------------------------------------


def ones(*shape, dtype=webtorch.float32):
    return webtorch.ones(*shape, dtype=dtype)


def functional(name):
    return getattr(webtorch.nn.functional, name)


# What is called -> (the call, the torch.js name of its error, words of the message that restate it, and say the fix).
CODED = {
    "add": (
        lambda: ones(2, 3) + ones(4, 5),
        "broadcast_error_incompatible_dimensions",
        r"add: shapes \[2, 3\] and \[4, 5\].*\(2\) must match.*\(4\).*make the two sizes equal",
    ),
    "where": (
        lambda: webtorch.where(ones(2) > 0, ones(2), ones(3)),
        "broadcast_error_incompatible_dimensions",
        r"where: shapes \[2\] and \[3\]",
    ),
    "lerp": (lambda: webtorch.lerp(ones(2), ones(3), 0.5), "broadcast_error_incompatible_dimensions", r"lerp: shapes"),
    "matmul": (
        lambda: ones(2, 3) @ ones(4, 5),
        "matmul_error_inner_dimensions_do_not_match",
        r"3 != 4 for shapes \[2, 3\] and \[4, 5\] in matmul.*must equal",
    ),
    "linear": (
        lambda: functional("linear")(ones(2, 3), ones(4, 5)),
        "matmul_error_inner_dimensions_do_not_match",
        r"\[2, 3\].*linear",
    ),
    "batches": (
        lambda: ones(2, 3, 4) @ ones(3, 4, 5),
        "batch_dimensions_do_not_match_error",
        r"matmul of shapes \[2, 3, 4\] and \[3, 4, 5\].*\[2\] and \[3\] do not broadcast",
    ),
    "bmm": (
        lambda: webtorch.bmm(ones(2, 3, 4), ones(3, 4, 5)),
        "batch_dimensions_do_not_match_error",
        "batch sizes 2 and 3 differ; use matmul",
    ),
    "sum": (
        lambda: ones(2, 3).sum(2),
        "dimension_error_out_of_range",
        r"sum: Dimension out of range \(expected to be in range of \[-2, 1\], but got 2\)",
    ),
    "argmax": (lambda: ones(2, 3).argmax(-3), "dimension_error_out_of_range", "argmax.*got -3"),
    "cumsum": (lambda: ones(3).cumsum(1), "dimension_error_out_of_range", r"cumsum.*\[-1, 0\], but got 1"),
    "cat": (lambda: webtorch.cat([ones(2), ones(2)], 1), "dimension_error_out_of_range", "cat.*got 1"),
    "unsqueeze": (lambda: ones(2).unsqueeze(3), "dimension_error_out_of_range", r"unsqueeze.*\[-2, 1\], but got 3"),
    "softmax": (lambda: ones(2, 3).softmax(2), "softmax_error_dim_out_of_range", "softmax.*got 2"),
    "log_softmax": (lambda: ones(2, 3).log_softmax(-4), "softmax_error_dim_out_of_range", "log_softmax.*got -4"),
    "expand": (
        lambda: ones(2, 3).expand(3, 3),
        "expand_error_incompatible",
        r"expand.*\(3\) must match the existing size \(2\).*Target sizes: \[3, 3\]",
    ),
    "fewer sizes": (
        lambda: ones(2, 3).expand(3),
        "expand_error_incompatible",
        r"expand\(\[3\]\): the number of sizes provided \(1\)",
    ),
    "permute": (
        lambda: ones(2, 3).permute(0),
        "permute_error_dimension_count_mismatch",
        r"permute\(\[0\]\) of shape \[2, 3\]",
    ),
    "transpose": (lambda: ones(2, 3).transpose(0, 2), "transpose_dims_error_out_of_range", "transpose.*got 2"),
    "t": (lambda: ones(1, 2, 3).t(), "transpose_error_requires_2d_tensor", r"\[1, 2, 3\].*use transpose"),
    "flip": (lambda: ones(2).flip(1), "flip_error_dim_out_of_range", "flip.*got 1"),
    "narrow from": (lambda: ones(2, 3).narrow(0, 3, 1), "narrow_error_start_out_of_bounds", r"narrow\(0, 3, 1\)"),
    "narrow to": (
        lambda: ones(2, 3).narrow(1, 1, 3),
        "narrow_error_length_exceeds_bounds",
        r"narrow\(1, 1, 3\): start \(1\) \+ length \(3\) exceeds dimension size \(3\)",
    ),
    "select": (
        lambda: ones(2, 3).select(0, 2),
        "select_error_index_out_of_bounds",
        r"select\(0, 2\): index 2 is out of bounds.*use an index in \[-2, 1\]",
    ),
    "split": (lambda: ones(2, 3).split(1, 2), "split_error_dim_out_of_range", "split.*got 2"),
    "chunk": (lambda: ones(2, 3).chunk(2, -3), "chunk_error_dim_out_of_range", "chunk.*got -3"),
    "unbind": (lambda: ones(2).unbind(1), "unbind_error_dim_out_of_range", "unbind.*got 1"),
    "index": (
        lambda: ones(2)[2],
        "at_error_index_out_of_bounds",
        r"x\[2\]: index 2 is out of bounds for dimension 0 with size 2; use an index in",
    ),
    "gather": (lambda: ones(2).gather(1, webtorch.tensor([0])), "gather_error_dim_out_of_range", "gather.*got 1"),
    "scatter": (
        lambda: ones(2).scatter(1, webtorch.tensor([0]), 1.0),
        "scatter_error_dim_out_of_range",
        "scatter.*got 1",
    ),
    "index_select": (
        lambda: ones(2).index_select(1, webtorch.tensor([0])),
        "index_select_error_dim_out_of_range",
        "index_select.*got 1",
    ),
    "item": (lambda: ones(2, 3).item(), "item_error_not_scalar", r"item\(\) of a tensor with 6 elements.*use tolist"),
}


@pytest.mark.parametrize("case", CODED)
def test_errors_with_a_torchjs_name(case, device):
    call, code, words = CODED[case]
    with webtorch.device(device), pytest.raises(ShapeError, match=words) as caught:
        call()
    error = caught.value
    assert error.code == code and str(error).startswith(code + ": ") and isinstance(error, CODES[code])
    assert isinstance(error, RuntimeError) and isinstance(error, IndexError) == issubclass(CODES[code], IndexShapeError)


# What is called -> (the call, the kind of error, words of the message).
OTHERS = {
    "mv": (
        lambda: webtorch.mv(ones(2, 3), ones(2, 3)),
        ShapeError,
        r"mv: vec must be a 1-D tensor, but has shape \[2, 3\]",
    ),
    "dot": (lambda: webtorch.dot(ones(3), ones(4)), ShapeError, r"dot.*\[3\].*\[4\]"),
    "0-d matmul": (lambda: ones() @ ones(3), ShapeError, "at least 1D, but they are 0D and 1D"),
    "dim twice": (lambda: ones(2, 3).sum((0, -2)), ShapeError, "dim 0 appears multiple times"),
    "view": (lambda: ones(2, 3).view(4), ShapeError, r"view: shape '\[4\]' is invalid for input of size 6"),
    "view of strides": (
        lambda: ones(2, 3).t().view(6),
        ShapeError,
        r"view\(\[6\]\) of shape \[3, 2\] with strides \[1, 3\].*Use .reshape",
    ),
    "two unknowns": (lambda: ones(2, 3).reshape(-1, -1), ShapeError, "only one dimension can be inferred"),
    "reshape": (lambda: ones(2, 3).reshape(-1, 4), ShapeError, r"reshape: shape '\[-1, 4\]'"),
    "permute twice": (lambda: ones(2, 3).permute(0, 0), ShapeError, "dim 0 appears multiple times"),
    "split sizes": (lambda: ones(2, 3).split([1, 1], 1), ShapeError, r"sum exactly to 3"),
    "split by less": (lambda: ones(3).split(-1), ShapeError, "split_size=-1"),
    "no chunks": (lambda: ones(3).chunk(0), ShapeError, "greater than 0, got: 0"),
    "windows": (lambda: ones(2).unfold(0, 3, 1), ShapeError, r"unfold\(0, 3, 1\): maximum size"),
    "cat": (
        lambda: webtorch.cat([ones(2, 3), ones(2, 4)]),
        ShapeError,
        r"Expected size 3 but got size 4 for tensor number 1 in the list \(shape \[2, 4\]\)",
    ),
    "negative deviation": (lambda: webtorch.normal(0.0, -1.0, (2,)), RuntimeError, "std >= 0.0, but found std -1"),
    "normal_": (lambda: ones(2).normal_(0.0, -1.0), RuntimeError, "std >= 0.0"),
    "uniform_": (lambda: ones(2).uniform_(3, -1), RuntimeError, "from=3 > to=-1"),
    "gradient": (lambda: webtorch.gradient(ones(3, 3), dim=(1, -1)), ShapeError, "multiple times"),
    "negative rtol": (lambda: webtorch.isclose(ones(2), ones(2), rtol=-0.4), RuntimeError, "rtol must be greater"),
    "negative atol": (lambda: webtorch.allclose(ones(2), ones(2), atol=-0.4), RuntimeError, "atol must be greater"),
    "rrelu": (lambda: functional("rrelu")(ones(2), 0.3, 0.1), ValueError, "less than or equal to the upper"),
    "negative margin": (
        lambda: functional("triplet_margin_loss")(ones(2, 3), ones(2, 3), ones(2, 3), margin=-1.0),
        ValueError,
        "margin must be greater than 0, got -1",
    ),
    "filled with a complex number": (
        lambda: ones(2).masked_fill(ones(2) > 0, webtorch.tensor(1j)),
        DTypeError,
        "complex64 does not fit into",
    ),
    "centre of a symmetric window": (
        lambda: webtorch.signal.windows.exponential(3, center=1),
        ValueError,
        "Center must be None",
    ),
    "cat nothing": (lambda: webtorch.cat([]), ValueError, "non-empty list of Tensors"),
    "cat a number": (lambda: webtorch.cat([ones(1), 1]), TypeError, "expected Tensor as element 1"),
    "stack": (
        lambda: webtorch.stack([ones(2), ones(3)]),
        ShapeError,
        r"equal size, but got \[2\] at entry 0 and \[3\] at entry 1",
    ),
    "repeat": (lambda: ones(2, 3).repeat(2), ShapeError, "repeat"),
    "empty max": (lambda: webtorch.zeros(0).max(), IndexError, "non-zero size|to be specified"),
    "empty argmax": (lambda: webtorch.zeros(0).argmax(), IndexError, "Specify the reduction dim"),
    "mean of integers": (lambda: webtorch.tensor([1, 2]).mean(), DTypeError, r"mean.*int64; use .float\(\)"),
    "bits of floats": (
        lambda: ones(2) & ones(2),
        DTypeError,
        r"only for integer and bool tensors, not webtorch.float32; convert",
    ),
    "bool minus bool": (lambda: (ones(2) > 0) - (ones(2) > 0), DTypeError, r"use the `\^` or logical_xor"),
    "minus bool": (lambda: -(ones(2) > 0), DTypeError, "not defined for bool; use logical_not"),
    "matmul dtypes": (
        lambda: ones(2, 2, dtype=webtorch.int64) @ ones(2, 2),
        DTypeError,
        "same dtype, but got webtorch.int64 and webtorch.float32; convert one",
    ),
    "int power": (lambda: webtorch.tensor([2]) ** -1, DTypeError, r"not allowed; convert with .float\(\)"),
    "in place": (
        lambda: ones(3).add_(ones(2, 3)),
        ShapeError,
        r"add_: output with shape \[3\] doesn't match the broadcast shape \[2, 3\]",
    ),
    "in place dtype": (
        lambda: webtorch.tensor([1]).add_(1.5),
        DTypeError,
        "add_: result type webtorch.float32 can't be cast to the desired output type webtorch.int64; use",
    ),
    "out dtype": (lambda: webtorch.add(ones(2), 1, out=webtorch.tensor([1, 2])), DTypeError, "add.*out.*can't be cast"),
    "negative size": (
        lambda: webtorch.zeros(2, -1),
        ShapeError,
        r"zeros: Trying to create tensor with negative dimension -1: \[2, -1\]",
    ),
    "size of text": (
        lambda: webtorch.zeros("3"),
        TypeError,
        r"zeros\(\): argument 'size' must be tuple of ints, not str",
    ),
    "size of float": (lambda: webtorch.zeros(2.5), TypeError, "must be tuple of ints, not float"),
    "text operand": (lambda: ones(2) + "a", TypeError, "unsupported operand"),
    "None operand": (lambda: ones(2) * None, TypeError, "unsupported operand"),
    "no tensor": (lambda: webtorch.exp(3), TypeError, r"exp\(3\): at least one argument must be a Tensor"),
    "a list": (
        lambda: webtorch.exp([1.0]),
        TypeError,
        r"exp: expected a Tensor or a number, got list; make a tensor of it with webtorch.tensor",
    ),
    "dim of text": (lambda: ones(2).sum("a"), TypeError, r"sum\(\): argument 'dim' must be int, not str"),
    "clamp": (lambda: ones(2).clamp(), ValueError, "at least one of 'min' or 'max'"),
    "gelu": (lambda: functional("gelu")(ones(2), approximate="bad"), ValueError, "either 'none' or 'tanh'"),
    "full": (lambda: webtorch.full((2,), "a"), DTypeError, "expected a bool, int, float or complex, but got str"),
    "full_like": (
        lambda: webtorch.full_like(ones(0), (1, 2)),
        (DTypeError, ValueError),
        "expected a bool, int, float or complex, but got tuple",
    ),
    "unknown device": (lambda: webtorch.zeros(2, device="cuda"), DeviceError, r"device\('cuda'\): use 'webgpu'"),
    "odd device": (lambda: ones(2).to("tpu"), (DeviceError, DTypeError), "tpu.*'cpu', 'webgpu'|tpu"),
    "second device": (
        lambda: webtorch.zeros(2, device="webgpu:1"),
        DeviceError,
        "there is one webgpu device, number 0",
    ),
    "unknown dtype": (lambda: webtorch.zeros(2, dtype="flaot32"), DTypeError, "Did you mean 'float32'"),
    "channels": (
        lambda: functional("conv2d")(ones(1, 3, 4, 4), ones(2, 2, 3, 3)),
        ShapeError,
        "to have 2 channels, but got 3",
    ),
    "kernel": (
        lambda: functional("conv2d")(ones(1, 2, 2, 2), ones(2, 2, 3, 3)),
        ShapeError,
        "Kernel size can't be greater",
    ),
    "pool": (lambda: functional("max_pool2d")(ones(1, 1, 2, 2), 3), ShapeError, r"max_pool2d.*\[2, 2\].*too small"),
    "layer_norm": (lambda: functional("layer_norm")(ones(2, 3), (4,)), ShapeError, r"normalized_shape=\[4\]"),
    "targets": (
        lambda: functional("cross_entropy")(ones(2, 3), webtorch.tensor([0, 1, 2])),
        (ShapeError, ValueError),
        "batch_size",
    ),
    "embed": (lambda: functional("embedding")(webtorch.tensor([0]), ones(3)), ShapeError, "'weight' must be 2-D"),
    "typing error": (lambda: webtorch.sofmax, AttributeError, "Did you mean 'softmax'"),
    "unknown argument": (lambda: ones(2).sum(dims=1), TypeError, "dims"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_other_errors(case, device):
    call, kind, words = OTHERS[case]
    with webtorch.device(device), pytest.raises(kind, match=words):
        call()


def test_targets_out_of_range_raise(device):
    with webtorch.device(device):
        for call in (
            lambda: functional("cross_entropy")(ones(2, 3), webtorch.tensor([0, 3])),
            lambda: functional("nll_loss")(ones(2, 3), webtorch.tensor([0, -7])),
            lambda: functional("embedding")(webtorch.tensor([5]), ones(3, 2)),
            lambda: functional("one_hot")(webtorch.tensor([5]), 3),
        ):
            with pytest.raises((IndexError, RuntimeError), match=r"out of|range|smaller|bounds"):
                call().tolist()


@pytest.mark.gpu
def test_devices_do_not_mix():
    x, y = webtorch.ones(2, device="cpu"), webtorch.ones(2, device="webgpu")
    for call in (
        lambda: x + y,
        lambda: webtorch.cat([x, y]),
        lambda: x @ y,
        lambda: webtorch.where(x > 0, x, y),
        lambda: webtorch.stack([y, x]),
    ):
        with pytest.raises(DeviceError, match=r"same device.*(cpu|webgpu).*(cpu|webgpu)|move"):
            call()
    with pytest.raises(DeviceError, match="grad is on webgpu"):
        x.grad = y


def test_too_large_to_exist(device):
    """Sizes that no memory has, and some whose count of bytes does not fit 64 bits."""
    with webtorch.device(device):
        for shape in [(2**40,), (2**31, 2**31, 2**31), (2**62, 2**62)]:
            with pytest.raises((OutOfMemoryError, ShapeError), match="bytes"):
                webtorch.ones(*shape).tolist()
        assert webtorch.ones(1).expand(2**40).shape == (2**40,)  # a view needs no memory
        with pytest.raises((OutOfMemoryError, ShapeError), match="bytes"):
            (webtorch.ones(1).expand(2**40) + 1).tolist()
        assert (ones(2) + 1).tolist() == [2, 2]


def test_high_ranks(device):
    """Dimensions beyond what any GPU counts merge into few."""
    with webtorch.device(device):
        x = webtorch.arange(256.0).reshape([2] * 8)
        assert (x.permute(*reversed(range(8))) + 1).sum().item() == 256 * 255 / 2 + 256
        y = webtorch.arange(24.0).reshape(2, 1, 3, 1, 1, 2, 1, 2, 1, 1)
        np.testing.assert_array_equal((y.flip(0) * 2).numpy(), np.flip(y.numpy(), 0) * 2)
        assert webtorch.ones([1] * 20).sum().item() == 1.0


# ---- things that are no tensors -------------------------------------------------------------------------------------

CLEAR = (TypeError, RuntimeError, ValueError, IndexError, NotImplementedError)
# These set something for good, write files, or end things.
NOT_SWEPT = {
    "manual_seed", "requireWebGPU", "require_webgpu", "seed", "set_default_device", "set_default_dtype", "set_grad_enabled",
    "set_printoptions", "set_rng_state", "initialize_device_async", "sync_device_async", "save", "compile",
    "sync_device", "initialize_device",
}  # fmt: skip


def public_functions():
    for name in sorted(dir(webtorch)):
        value = getattr(webtorch, name)
        if name.startswith("_") or name in NOT_SWEPT or "error" in name.lower():  # these make errors
            continue
        if callable(value) and not inspect.isclass(value):
            yield name, value


@pytest.mark.parametrize(
    "thing", [None, "text", [1.0, "a"], {}, object(), 1j], ids=["None", "text", "list", "dict", "object", "complex"]
)
def test_what_is_no_tensor_is_named_or_refused_clearly(thing):
    """Every public function, given nonsense: an error of the kinds that say something, never an accident inside."""
    unclear = []
    for name, function in public_functions():
        for place in range(4):
            x = webtorch.ones(2, 3)  # anew, for functions that write to it
            arguments = ((thing,), (x, thing), (thing, x), (x, x, thing))[place]
            try:
                result = function(*arguments)
                if inspect.iscoroutine(result):
                    result.close()
            except CLEAR:
                pass
            except Exception as error:
                unclear.append(f"{name}{arguments!r}: {type(error).__name__}: {error}")
    assert not unclear, "\n".join(unclear)


# ---- processes ------------------------------------------------------------------------------------------------------


def run(source, *, timeout=120, **environment):
    """Run a program in a process of its own; returns (exit code, stdout, stderr)."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WEBTORCH_")}
    inherited |= {"PYTHONWARNINGS": "ignore", "PYTHONPATH": os.pathsep.join(sys.path)} | environment
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)], capture_output=True, text=True, timeout=timeout, env=inherited
    )
    return done.returncode, done.stdout, done.stderr


NO_DRIVER = {
    name: "/nonexistent"
    for name in ("VK_DRIVER_FILES", "VK_ICD_FILENAMES", "LIBGL_DRIVERS_PATH", "__EGL_VENDOR_LIBRARY_FILENAMES")
}


@pytest.mark.skipif(sys.platform != "linux", reason="only here can the drivers be hidden")
def test_without_a_driver():
    """The cpu is the default; asking for the GPU names the driver to install."""
    program = """
        import webtorch
        x = webtorch.ones(2) + 1
        print(x.device, x.tolist(), webtorch.is_webgpu_available())
        for ask in (lambda: webtorch.ones(2, device="webgpu").tolist(), lambda: x.to("webgpu"), webtorch.requireWebGPU):
            try:
                ask()
                print("no error")
            except webtorch.DeviceUnavailableError as error:
                print("DeviceUnavailableError", "driver" in str(error), len(str(error)) > 40)
        print((x * 2).tolist())
    """
    code, out, error = run(program, **NO_DRIVER)
    assert code == 0, error
    assert out.splitlines() == ["cpu [2.0, 2.0] False", *["DeviceUnavailableError True True"] * 3, "[4.0, 4.0]"], out
    code, out, error = run("import webtorch; webtorch.ones(2).tolist()", WEBTORCH_DEVICE="webgpu", **NO_DRIVER)
    assert code == 1 and "DeviceUnavailableError" in error, (code, out, error)
    code, out, error = run("import webtorch; webtorch.ones(2)", WEBTORCH_DEVICE="gpu")
    assert code == 1 and "WEBTORCH_DEVICE" in error and "webgpu" in error, error


# Every public function and method with every combination of zero-size arguments that could fit it, on both devices.
ZERO_SIZES = """
    import inspect, json, warnings
    warnings.simplefilter("ignore")
    import webtorch
    from webtorch import bool as boolean, float32, int64

    RANDOM = ("dropout", "rrelu", "bernoulli", "random", "uniform", "normal", "rand", "multinomial", "gumbel", "exponential", "seed",
              "kaiming", "xavier", "empty", "trunc_normal", "poisson")
    NOT = {"data_ptr", "get_device", "backward", "retain_grad", "set_default_device", "set_default_dtype", "set_grad_enabled",
           "apply_", "map_", "map2_",
           "set_printoptions", "requireWebGPU", "require_webgpu", "get_rng_state", "set_rng_state", "default_generator", "to", "cpu",
           "webgpu", "is_cpu", "is_webgpu", "sync_device", "initialize_device", "save", "compile", "share_memory_",
           "bincount"}  # of float64 on the cpu, of float32 on a GPU

    def functions(space, kind):
        for name in sorted(dir(space)):
            value = getattr(space, name)
            if name.startswith("_") or name in NOT or any(word in name for word in RANDOM):
                continue
            if callable(value) and not inspect.isclass(value) and (kind != "nn" or getattr(value, "__module__", "").startswith("webtorch")):
                yield name, (lambda x, *rest, name=name: getattr(x, name)(*rest)) if kind == "method" else value

    def arguments(device):
        def t(*shape, dtype=float32):
            return webtorch.zeros(*shape, dtype=dtype, device=device)

        def i(*shape):
            return t(*shape, dtype=int64)

        return [
            (t(0),), (t(0, 3),), (t(3, 0),), (t(2, 0, 3),), (i(0, 3),), (t(0, dtype=boolean),), (t(0), t(0)), (t(0, 3), t(3, 0)),
            (t(3, 0), t(0, 3)), (t(0, 3), t(3)), (t(0, 3), t(1, 1)), (t(0, 3), 2.0), (t(0, 3), 0), (t(0, 3), 1), (t(2, 0), 1), (t(3, 0), 0),
            (t(0), t(0), t(0)), (t(2, 2), t(2, 0), t(0, 2)), (i(0), i(0)), (t(0, dtype=boolean), t(0, dtype=boolean)),
            ([t(0, 3), t(2, 3)],), ([t(0), t(0)],), ([t(3, 0), t(3, 0)], 1),
            (t(3, 2), 0, i(0, 2)), (t(0, 2), 0, i(0, 2)), (t(3, 2), 0, i(0)),
            (t(3, 2), 0, i(0), t(0, 2)), (t(3, 2), 0, i(0, 2), t(0, 2)), ((0, 3),), (t(0, 3, 4, 4), t(2, 3, 3, 3)), (t(2, 3, 0, 4),),
            (t(0, 3, 4, 4), 2), (i(0), t(4, 3)), (t(0, 3), t(2, 3)), (t(0, 3), i(0)), (t(0, 3), t(0, 3, dtype=boolean)),
            (t(0, 3), t(0, 3, dtype=boolean), 1.0), (t(2, 0, 3), (1, 0, 2)), (t(2, 0), (0, 5)), (t(0, 2, 3), t(0, 3, 4)),
            (t(2, 0, 3), t(2, 3, 4)), (t(2, 4, 0), t(2, 0, 3)), (t(0, 3), (3,)), (t(0, 4), 2, 1),
        ]

    def show(result):
        if isinstance(result, webtorch.Tensor):
            return [str(result.dtype), list(result.shape), str(result.tolist()).replace("-0.0", "0.0")]
        if isinstance(result, (tuple, list)):
            return [show(part) for part in result]
        return result if isinstance(result, (int, float, str)) else type(result).__name__

    def outcome(function, args):
        try:
            return show(function(*args))
        except Exception as error:
            return type(error).__name__

    # What the cpu alone has.
    from webtorch import engine
    from webtorch.backends.wgpu import get_device

    alone = ["complex128"] + ["float64"] * ("shader-f64" not in engine.limits_of(get_device()).features)
    count, different, worked = 0, [], 0
    for space, kind in ((webtorch, "function"), (webtorch.nn.functional, "nn"), (webtorch.Tensor, "method")):
        for name, function in functions(space, kind):
            for number, (ours, theirs) in enumerate(zip(arguments("webgpu"), arguments("cpu"))):
                if kind == "method" and not isinstance(ours[0], webtorch.Tensor):
                    continue
                on_gpu, on_cpu = outcome(function, ours), outcome(function, theirs)
                count += 1
                worked += not isinstance(on_gpu, str)
                if on_gpu == "DTypeError" and any(dtype in str(on_cpu) for dtype in alone):
                    continue
                if str(on_gpu) != str(on_cpu):
                    different.append(f"{kind} {name}, arguments {number}: webgpu {on_gpu}, cpu {on_cpu}")
    webtorch.sync_device()
    print(json.dumps({"count": count, "worked": worked, "different": different}))
"""


@pytest.mark.gpu
def test_zero_sizes_never_abort():
    code, out, error = run(ZERO_SIZES, WEBTORCH_DEVICE="cpu", timeout=300)
    assert code == 0, (code, error[-2000:])
    seen = json.loads(out.splitlines()[-1])
    assert seen["count"] > 10_000 and seen["worked"] > 4_000
    assert not seen["different"], "\n".join(seen["different"][:20])


@pytest.mark.gpu
def test_gradients_of_zero_sizes(device):
    with webtorch.device(device):
        x = webtorch.ones(0, 3, requires_grad=True)
        w = webtorch.ones(3, 2, requires_grad=True)
        (
            (x @ w).relu().sum()
            + x.softmax(1).sum()
            + webtorch.cat([x, webtorch.ones(1, 3)]).sum()
            + x[webtorch.tensor([], dtype=webtorch.int64)].sum()
        ).backward()
        assert x.grad.shape == (0, 3) and w.grad.tolist() == [[0, 0]] * 3


@pytest.mark.gpu
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork_after_the_gpu_was_used():
    program = """
        import os, sys, time
        import webtorch
        x = webtorch.ones(3, device="webgpu")
        assert (x + 1).tolist() == [2, 2, 2]
        pending = x * 5
        child = os.fork()
        if child == 0:
            failed = 0
            for use in (lambda: (x + 1).tolist(), lambda: pending.item, lambda: pending.tolist(),
                        lambda: webtorch.ones(2, device="webgpu").tolist(), webtorch.sync_device):
                started = time.time()
                try:
                    use()
                except webtorch.DeviceError as error:
                    assert "fork" in str(error) and "spawn" in str(error), error
                    failed += 1
                assert time.time() - started < 2
            assert (webtorch.ones(2) + 1).tolist() == [2, 2]  # the cpu works
            os._exit(failed)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(code, pending.tolist())
    """
    code, out, error = run(program, timeout=60)
    assert (code, error) == (0, "") and out.splitlines()[0].split(" ", 1)[1] == "[5.0, 5.0, 5.0]", (out, error)
    assert int(out.split()[0]) >= 3, out


EXITS = {
    "pending work": "x = webtorch.ones(1000, device='webgpu')\nfor _ in range(50): x = x * 1.01 + 1",
    "recorded commands": "x = webtorch.ones(1000, device='webgpu'); y = (x * 2).sum(); webtorch.webgpu.batch(lambda: (x + 1).sum())",
    "a graph": "x = webtorch.ones(9, device='webgpu', requires_grad=True); y = (x * x).sum(); y.backward()",
    "a cycle": "x = webtorch.ones(9, device='webgpu') + 1; x.itself = x; del x",
    "a wrong index": "x = webtorch.ones(3, device='webgpu'); y = x[webtorch.tensor([7], device='webgpu')]",
    "a thread": "import threading\ndef work():\n    for i in range(20): (webtorch.ones(9, device='webgpu') + i).sum()\n"
    "threading.Thread(target=work).start()",
    "an exit function": "import atexit\nx = webtorch.ones(3, device='webgpu')\natexit.register(lambda: print((x + 1).tolist()))",
    "no work": "x = webtorch.ones(3, device='webgpu')",
    "sys.exit": "import sys\nx = webtorch.ones(3, device='webgpu') * 2\nsys.exit(0)",
}


@pytest.mark.gpu
@pytest.mark.parametrize("state", EXITS)
def test_a_process_ends_quietly(state):
    code, out, error = run("import webtorch\n" + EXITS[state], timeout=60)
    assert (code, error) == (0, ""), (code, error)
    assert out == ("[2.0, 2.0, 2.0]\n" if state == "an exit function" else "")


@pytest.mark.gpu
def test_an_exception_ends_a_process_as_ever():
    code, out, error = run(
        "import webtorch\nx = webtorch.ones(3, device='webgpu') * 2\nraise KeyError('mine')", timeout=60
    )
    assert code == 1 and error.rstrip().endswith("KeyError: 'mine'") and "panicked" not in error


@pytest.mark.gpu
@pytest.mark.skipif(sys.platform == "win32", reason="signals differ")
def test_control_c():
    """SIGINT at any moment of a loop: KeyboardInterrupt, and every tensor can still be read."""
    program = """
        import os, signal, sys, threading, time
        import numpy as np
        import webtorch
        signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored where tests run in the background
        x = webtorch.arange(1000.0, device="webgpu")
        w = webtorch.ones(1000, device="webgpu", requires_grad=True)
        (x * 2 + 1).tolist()
        hits = 0
        for attempt in range(12):
            y = x * 1
            try:
                threading.Timer(0.005 + 0.004 * attempt, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
                deadline = time.time() + 5
                while time.time() < deadline:
                    y = y * 0.5 + 1
                    loss = (y * w).sum()
                    loss.backward()
                    w.grad = None
                    y = y.detach()
                    if attempt % 2:
                        y.sum().item()
            except KeyboardInterrupt:
                hits += 1
            assert np.isfinite(y.numpy()).all()
            np.testing.assert_array_equal(x.numpy(), np.arange(1000))
            np.testing.assert_array_equal((x + 1).numpy(), np.arange(1000) + 1)
            assert w.detach().sum().item() == 1000 and webtorch.is_grad_enabled()
        print(hits)
    """
    code, out, error = run(program, timeout=100)
    assert (code, out, error) == (0, "12\n", ""), (code, out, error[-2000:])


# ---- threads --------------------------------------------------------------------------------------------------------


@pytest.mark.gpu
def test_eight_threads():
    """Right results from every thread, and a gradient mode for each."""
    problems = []
    shared = webtorch.arange(100.0, device="webgpu")
    start = threading.Barrier(8)

    def work(number):
        try:
            start.wait(30)
            source = np.random.default_rng(number)
            webtorch.set_grad_enabled(number % 2 == 0)
            for turn in range(12):
                array = source.standard_normal((20, 5)).astype(np.float32)
                x = webtorch.tensor(array, device="webgpu", requires_grad=True)
                y = (x * number).tanh() @ webtorch.ones(5, 3, device="webgpu")
                assert y.requires_grad == (number % 2 == 0) == webtorch.is_grad_enabled()
                np.testing.assert_allclose(y.detach().numpy(), np.tanh(array * number) @ np.ones((5, 3)), atol=1e-4)
                x.detach().mul_(2.0)
                np.testing.assert_allclose(x.detach().numpy(), array * 2)
                assert (shared + turn).sum().item() == 4950 + 100 * turn
                with webtorch.no_grad():
                    assert not (x * 2).requires_grad
                if number % 2 == 0:
                    z = (x * x).sum()
                    z.backward()
                    np.testing.assert_allclose(x.grad.numpy(), array * 4, rtol=1e-5)
        except BaseException as error:
            problems.append((number, repr(error)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads) and not problems, problems
    assert webtorch.is_grad_enabled()


@pytest.mark.gpu
def test_one_thread_records_and_another_reads():
    made, ready = [], threading.Event()

    def reader():
        ready.wait(30)
        made.append(value.tolist())

    value = webtorch.zeros(4, device="webgpu")
    for _ in range(30):
        value = value + 1
    thread = threading.Thread(target=reader)
    thread.start()
    ready.set()
    assert value.tolist() == [30.0] * 4
    thread.join(60)
    assert made == [[30.0] * 4]


# ---- memory ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def memory_limit():
    yield webtorch.webgpu.set_memory_limit
    webtorch.webgpu.set_memory_limit(None)


@pytest.mark.gpu
def test_out_of_memory_says_so_and_recovers(memory_limit):
    import gc

    gc.collect()
    webtorch.sync_device()
    webtorch.webgpu.empty_cache()
    used = webtorch.webgpu.memory_stats()["active_bytes"]
    keep = webtorch.arange(1000.0, device="webgpu")
    assert keep.sum().item() == 499500
    memory_limit(used + (12 << 20))
    held = []
    with pytest.raises(OutOfMemoryError, match=r"byte|MB|MiB") as caught:
        for number in range(10):
            held.append(webtorch.full((1 << 19,), float(number), device="webgpu") + keep[0])
            held[-1].sum().item()
    assert 3 <= len(held) <= 7 and len(str(caught.value)) > 60
    # What was there before is untouched, the failed one can be computed once there is room.
    assert [tensor[0].item() for tensor in held[:3]] == [0.0, 1.0, 2.0] and keep.sum().item() == 499500
    failed = held[-1]
    del held[:3]
    gc.collect()
    assert failed[7].item() == float(failed[0].item()) and (keep + 1).sum().item() == 500500
    assert (webtorch.zeros(1 << 19, device="webgpu") + 5).sum().item() == 5 << 19


@pytest.mark.gpu
def test_out_of_memory_in_the_middle_of_a_training_step(memory_limit):
    """The step fails; with more memory it is completed, and the next one works."""
    import gc

    w = webtorch.full((256, 256), 0.001, device="webgpu", requires_grad=True)
    x = webtorch.ones(64, 256, device="webgpu")

    def step(rows):
        batch = x.repeat(rows, 1)
        loss = ((batch @ w).tanh() ** 2).mean()
        loss.backward()
        with webtorch.no_grad():
            w.sub_(w.grad, alpha=0.1)
        w.grad = None
        return w.detach().sum().item()

    first = step(1)
    gc.collect()
    webtorch.webgpu.empty_cache()
    memory_limit(webtorch.webgpu.memory_stats()["active_bytes"] + (4 << 20))
    with pytest.raises(OutOfMemoryError):
        step(400)
    # Nothing is lost: the weights' new value, recorded already, is computed once there is room for it.
    memory_limit(None)
    w.grad = None
    gc.collect()
    second = w.detach().sum().item()
    assert second < first
    assert step(1) < second


def test_memory_comes_back(device):
    """A loop that lets go of what it makes does not grow."""
    if device == "cpu":
        return
    import gc

    def turn():
        x = webtorch.ones(1 << 16, device="webgpu", requires_grad=True)
        ((x * 2).exp() * x).sum().backward()
        assert x.grad[0].item() > 0

    for _ in range(3):
        turn()
    gc.collect()
    before = webtorch.webgpu.memory_stats()["active_bytes"]
    for _ in range(30):
        turn()
    gc.collect()
    assert webtorch.webgpu.memory_stats()["active_bytes"] <= before + (1 << 16)
