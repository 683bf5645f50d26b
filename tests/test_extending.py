"""Extending webtorch from outside: each program in examples/extending, and each part of the API with good and bad input."""

import gc
import pathlib
import re

import numpy as np
import pytest
from test_examples import run

import webtorch
from webtorch import errors, registry
from webtorch.errors import DeviceError, DTypeError, RegistryError, ShaderCompileError
from webtorch.registry.loops import checked_trips, find_loops

EXAMPLES = pathlib.Path(__file__).resolve().parents[1] / "examples" / "extending"

# What each program shows, line by line, as regular expressions; {gpu|cpu} picks by device.
SHOWN = {
    "scalar_op.py": [
        r"\[-0\.7616, 1\.0, 1\.4949\]", r"{1|none: numpy}", r"\[0\.0707, 1\.0, 0\.7864\]", r"\[0\.2724, 0\.0, -1\.4537\]",
        r"\['softstep'\] \{'cpu': \['float32'\], 'webgpu': \['float32'\]\}", r"\[\] False",
    ],
    "binary_op.py": [
        r"\[\[1\.0, 3\.0\], \[6\.0, 2\.0\]\]", r"\[3, 5\]", r"\[-2\.0, 0\.0\]", r"\[\[0\.0\], \[2\.0\]\]",
        "kernel_not_registered_error",
    ],
    "kernel.py": [
        r"\[2\.0, 4\.0, 6\.0\] its gradient \[2\.0, 2\.0, 2\.0\]", r"\[0\.0, 2\.0, 4\.0, .* 14\.0\]",
        r"\('add', 'float32', 'cpu'\), \('add', 'float32', 'webgpu'\)", r"\[True, False\]", r"\[\]",
    ],
    "scalar_kernel.py": [r"\[0\.1192, 0\.5, 0\.8808\]", r"\[0\.1667, 0\.5, 0\.8333\]", r"\[0\.1192, 0\.5, 0\.8808\]"],
    "derivative.py": [r"\[0\.0, 2\.0\]", r"\[3\.0, 3\.0\]", r"\[0\.0, 0\.0\]"],
    "function_and_method.py": [
        r"\[3\.5355, 7\.0711\]", r"\[4\.7434, 6\.3246\]", r"\[\[0\.4243, 0\.5657\], \[0\.4243, 0\.5657\]\]",
        "method_dtype_not_supported_error", "function_already_registered_error", "False False",
    ],
    "dtype.py": [
        r"tensor\(0\+0i\+0j\+1k, dtype=webtorch\.quaternion_f32\)", r"tensor\(0\+0i\+0j-1k", r"tensor\(1\+2i\+0j\+0k",
        r"angle 90\.\d+ degrees|angle 89\.9\d degrees", r"\[0\.0, 0\.0, 1\.0, 0\.0\]", "kernel_not_registered_error",
    ],
    "device.py": [
        r"\['cpu', 'abacus'\]", r"tensor\(\[\[1\., 2\.\],", r"\[3\., 4\.\]\], device='abacus:0'\)",
        r"value 52\.0 gradient \[\[8\.0, 12\.0\], \[8\.0, 12\.0\]\]", "matrix products 3", r"\{'beads': 100\}",
        r"\[\[1\.0, 2\.0\], \[3\.0, 4\.0\]\]", "left 0", r"device\('abacus'\): the devices are",
    ],
}  # fmt: skip


def test_every_program_is_tested():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SHOWN)


@pytest.mark.parametrize("name", SHOWN)
def test_program(name, device):
    lines = run(f"extending/{name}", device).splitlines()
    assert len(lines) == len(SHOWN[name]), lines
    for line, pattern in zip(lines, SHOWN[name], strict=True):
        pattern = re.sub(r"\{([^{}|]+)\|([^{}|]+)\}", lambda m: m[1] if device == "webgpu" else m[2], pattern)
        assert re.search(pattern, line), (line, pattern)


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    left = webtorch.list_ops(custom=True), webtorch.list_kernels(), webtorch.list_functions(custom=True)
    left += webtorch.list_methods(custom=True), webtorch.list_custom_devices(), webtorch.list_custom_dtypes()
    assert not any(left), left


def code_of(call) -> str:
    with pytest.raises((RegistryError, DeviceError)) as caught:
        call()
    return caught.value.code


# ---- ops ------------------------------------------------------------------------------------------------------------


def cubed(**options):
    return webtorch.registerUnaryOp("cubed", lambda x: x * x * x, "{x} * {x} * {x}", **options)


def test_an_op_computes_in_every_layout(device):
    with cubed():
        x = webtorch.arange(24.0, device=device).reshape(4, 6) - 11
        wanted = (np.arange(24.0).reshape(4, 6) - 11) ** 3
        np.testing.assert_allclose(x.cubed().numpy(), wanted)
        np.testing.assert_allclose(x.T[::2].cubed().numpy(), wanted.T[::2])
        assert webtorch.cubed(x.to(webtorch.int32)).dtype is webtorch.int32
        assert webtorch.cubed(webtorch.ones(0, 3, device=device)).shape == (0, 3)
        assert webtorch.cubed(webtorch.tensor(2.0, device=device)).item() == 8


@pytest.mark.gpu
def test_an_op_fuses():
    with cubed():
        x = webtorch.rand(100, device="webgpu")
        webtorch.sync_device("webgpu")
        with webtorch.debug.kernels() as kernels:
            found = (webtorch.cubed(x * 2) + 1).sum().item()
        assert len(kernels) == 1
        assert found == pytest.approx(((x.cpu() * 2) ** 3 + 1).sum().item(), rel=1e-5)


def by_backward(ctx, g):
    (x,) = ctx.saved_tensors
    return g * 3 * x * x


@pytest.mark.parametrize("options", [{"backward": by_backward}, {"vjp": (lambda g, x: g * 3 * x * x,)}])
def test_derivatives_of_all_kinds(options, device):
    with cubed(**options, dtypes="*"):
        x = webtorch.tensor([1.0, -2.0, 0.5], device=device, requires_grad=True)
        (first,) = webtorch.autograd.grad(x.cubed().sum(), x, create_graph=True)
        (second,) = webtorch.autograd.grad(first.sum(), x)
        assert first.tolist() == [3.0, 12.0, 0.75] and second.tolist() == [6.0, -12.0, 3.0]
        _, tangent = webtorch.func.jvp(webtorch.cubed, (x.detach(),), (webtorch.ones(3, device=device),))
        assert tangent.tolist() == [3.0, 12.0, 0.75]
        assert webtorch.vmap(webtorch.func.grad(webtorch.cubed))(x.detach()).tolist() == [3.0, 12.0, 0.75]
        wide = webtorch.tensor([1.0, -2.0], dtype=webtorch.float64, requires_grad=True, device="cpu")
        assert webtorch.autograd.gradcheck(webtorch.cubed, (wide,)) and webtorch.autograd.gradgradcheck(
            webtorch.cubed, (wide,)
        )
        assert repr(x.cubed().grad_fn).startswith("<CubedBackward0")


def test_broadcasting_is_summed_in_the_gradient(device):
    def backward(ctx, g):
        x, y = ctx.saved_tensors
        return g * y, g * x

    with webtorch.registerBinaryOp("times", lambda x, y: x * y, "{x} * {y}", backward=backward):
        x = webtorch.ones(2, 3, device=device, requires_grad=True)
        y = webtorch.tensor([1.0, 2.0, 3.0], device=device, requires_grad=True)
        webtorch.times(x, y).sum().backward()
        assert x.grad.tolist() == [[1.0, 2.0, 3.0]] * 2 and y.grad.tolist() == [2.0] * 3
        assert webtorch.times(x, 5).sum().item() == 30


def test_saved_values_that_change_are_noticed(device):
    with cubed(backward=by_backward):
        x = webtorch.ones(3, device=device, requires_grad=True)
        y = x * 2
        z = webtorch.cubed(y)
        y.add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            z.sum().backward()


def test_backward_runs_once_for_both_inputs(device):
    calls = []

    def backward(ctx, g):
        calls.append(1)
        return g, g

    with webtorch.registerBinaryOp(
        "plus", lambda x, y: x + y, "{x} + {y}", backward=backward, save_for_backward="none"
    ):
        x, y = (webtorch.ones(2, device=device, requires_grad=True) for _ in range(2))
        webtorch.plus(x, y).sum().backward()
        assert calls == [1] and x.grad.tolist() == y.grad.tolist() == [1.0, 1.0]


def test_setup_context_runs_with_the_call(device):
    scale = 2.0

    def setup_context(ctx, inputs, output):
        ctx.scale = scale
        ctx.save_for_backward(output)

    def backward(ctx, g):
        (out,) = ctx.saved_tensors
        return g * ctx.scale * out

    with cubed(backward=backward, setup_context=setup_context):
        x = webtorch.tensor([2.0], device=device, requires_grad=True)
        y = x.cubed()
        scale = 100.0
        y.backward()
        assert x.grad.tolist() == [16.0]


def test_scalars_travel_as_parameters(device):
    with webtorch.registerUnaryOp(
        "scaled", lambda x, factor, shift: x * factor + shift, "{x} * {factor} + {shift}",
        scalars={"factor": 2.0, "shift": 0.0}, dtypes="float32",
    ):  # fmt: skip
        x = webtorch.tensor([1.0, 2.0], device=device)
        assert webtorch.scaled(x).tolist() == [2.0, 4.0]
        with webtorch.debug.kernels() as kernels:
            found = [webtorch.scaled(x, factor=float(k), shift=1.0).tolist() for k in range(5)]
        assert found == [[k + 1.0, 2.0 * k + 1] for k in range(5)]
        if device == "webgpu":
            assert len(kernels) == 5
            assert len({kernel.source for kernel in kernels} if hasattr(kernels[0], "source") else {0}) == 1


def test_results_that_are_bool_or_float(device):
    with (
        webtorch.registerUnaryOp(
            "positive_p", lambda x: x > 0, "{x} > {t}(0)".replace("{t}", "f32"), dtypes="float32", result="bool"
        ),
        webtorch.registerUnaryOp("halved", lambda x: x / 2, "{x} / 2.0", dtypes="float32", result="float"),
    ):
        assert webtorch.positive_p(webtorch.tensor([-1.0, 2.0], device=device)).tolist() == [False, True]
        assert webtorch.halved(webtorch.tensor([1, 2], device=device)).tolist() == [0.5, 1.0]


def test_an_op_without_a_derivative(device):
    with cubed():
        x = webtorch.ones(2, device=device, requires_grad=True)
        y = x.cubed()
        assert y.tolist() == [1.0, 1.0]
        assert code_of(lambda: y.sum().backward()) == "autograd_not_registered_error"
        with webtorch.register_backward("cubed", by_backward):
            x.cubed().sum().backward()
            assert x.grad.tolist() == [3.0, 3.0]
        assert code_of(lambda: x.cubed().sum().backward()) == "autograd_not_registered_error"


def test_what_an_op_lacks_is_said(device):
    with webtorch.registerUnaryOp("only_cpu", lambda x: x + 1, dtypes="float32"):
        assert webtorch.only_cpu(webtorch.ones(1, device="cpu")).item() == 2
        if device == "webgpu":
            with pytest.raises(
                RegistryError, match="no kernel for float32 on webgpu; there are kernels for float32 on cpu"
            ):
                webtorch.only_cpu(webtorch.ones(1, device=device))
            with webtorch.register_scalar_forward("only_cpu", "{x} + 1.0", dtype="float32", device="webgpu"):
                assert webtorch.only_cpu(webtorch.ones(1, device=device)).item() == 2
        else:
            with pytest.raises(RegistryError, match="no kernel for float64 on cpu"):
                webtorch.only_cpu(webtorch.ones(1, dtype=webtorch.float64, device=device))


def test_removing_takes_everything_back(device):
    handle = cubed(backward=by_backward)
    x = webtorch.tensor([2.0], device=device, requires_grad=True)
    y = webtorch.cubed(x)
    assert not handle.removed and "cubed" in repr(handle)
    handle.remove()
    handle.remove()
    assert handle.removed and not hasattr(webtorch, "cubed") and not hasattr(x, "cubed")
    assert code_of(lambda: webtorch.get_op_info("cubed")) == "op_not_found_error"
    y.backward()  # what was recorded before can still be computed
    assert x.grad.tolist() == [12.0] and y.tolist() == [8.0]
    with cubed():
        assert webtorch.cubed(x.detach()).tolist() == [8.0]


def test_an_op_shows_in_the_lists():
    with cubed(backward=by_backward):
        info = webtorch.get_op_info("cubed")
        assert (info["kind"], info["inputs"], info["custom"], info["differentiable"]) == ("unary", 1, True, True)
        assert info["dtypes"] == {"cpu": ["int32", "float32"], "webgpu": ["int32", "float32"]}
        assert webtorch.list_ops(custom=True) == ["cubed"] and "cubed" in webtorch.list_ops(kind="unary")
        assert [row["name"] for row in webtorch.coverage_report()["names"] if row["custom"]] == ["cubed"]
        assert len(webtorch.list_kernels("cubed")) == 4 == len(webtorch.list_kernels())
        assert len(webtorch.list_kernels(dtype="float32", device="webgpu", kind="scalar")) == 1
        assert webtorch.getKernel("cubed", "int32", "webgpu").kernel == "{x} * {x} * {x}"
        assert webtorch.has_kernel("cubed", "int32", "cpu") and not webtorch.has_kernel("cubed", "float64", "cpu")
        assert webtorch.getAutograd("cubed").backward is by_backward
        assert webtorch.getFunction("cubed") is webtorch.cubed is webtorch.getMethod("cubed")


# ---- names and expressions that are none -----------------------------------------------------------------------------

BAD_NAMES = [
    "",
    "1x",
    "a b",
    "x;y",
    "_x",
    "__class__",
    "a.b",
    "x" * 65,
    "fn main",
    "é",
    "lambda",
    None,
    3,
    "x\n",
    "a/*",
    "x)",
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_are_checked(name):
    for register in (
        lambda: webtorch.registerUnaryOp(name, lambda x: x),
        lambda: webtorch.register_function(name, print),
        lambda: webtorch.register_method(name, print),
        lambda: webtorch.register_dtype(name, 2),
        lambda: webtorch.register_device(object(), name=name if name is not None else ""),
        lambda: webtorch.registerUnaryOp("fine", lambda x: x, scalars={name: 1.0}),
    ):
        assert code_of(register) == "invalid_config_error"


BAD_EXPRESSIONS = [
    "", " ", "{x}; discard", "{x}) + (1.0", "{x} }", "{ {x}", "{x} // comment", "{x} /* c */", "@compute {x}", "{y}", "{x.real}",
    "{x[0]}", "{x!r}", "{}", "x + 1", "params[0].x", "input_0[0]", "output_0[0]", "write_0(0u, 1.0)", "read_0(1u)", "{x} = 2.0",
    "let y = {x}", "fn f() {x}", "loop", "wt_no_such({x})", "eval({x})", "{x} \\ 2", "{x} \"a\"", "{x} # 1", "atomicAdd({x}, 1)",
    "workgroupBarrier()", "{x}`", "f32({x}", "({x}]", "textureLoad({x})", "storageBarrier()", "x" * 9000, 5, None, "{x}\x00",
    "{x} ; }", "v0", "sine({x})",
]  # fmt: skip


@pytest.mark.parametrize("expression", BAD_EXPRESSIONS)
def test_expressions_are_inspected(expression):
    assert (
        code_of(lambda: webtorch.register_scalar_forward("tanh", expression, device="webgpu", override=True))
        == "invalid_config_error"
    )
    if expression is not None:
        assert code_of(lambda: webtorch.registerUnaryOp("fine", lambda x: x, expression)) == "invalid_config_error"


BAD_KERNELS = [
    ("{x} + 1.0", "kernel_signature_mismatch_error"),
    ("fn f(i: i32) -> T { return load_x(i); }", "kernel_signature_mismatch_error"),
    ("fn f(i: u32) -> T { return load_y(i); }", "kernel_signature_mismatch_error"),
    ("fn f(i: u32) -> T { return read_0(i); }", "kernel_signature_mismatch_error"),
    ("fn f(i: u32) -> T { store(i, load_x(i)); return load_x(i); }", "kernel_signature_mismatch_error"),
    ("fn f(i: u32) -> T { output_0[i] = 1.0; return load_x(i); }", "kernel_signature_mismatch_error"),
    ("fn f(i: u32) -> T { return load_x(i); } fn g() {}", "invalid_config_error"),
    ("fn f(i: u32) -> T { return load_x(i);", "invalid_config_error"),
    ("fn f(i: u32) -> T { return load_x(i); }}", "invalid_config_error"),
    ("fn f(i: u32) -> T { /* } */ return load_x(i); }", "invalid_config_error"),
    ("fn f(i: u32) -> T { @diagnostic(off) return load_x(i); }", "invalid_config_error"),
    ("fn f(i: u32) -> T { workgroupBarrier(); return load_x(i); }", "invalid_config_error"),
    ("fn f(i: u32) -> T { return params[0].x; }", "invalid_config_error"),
    (7, "invalid_config_error"),
]


@pytest.mark.parametrize("source, code", BAD_KERNELS)
def test_kernels_are_inspected(source, code):
    assert code_of(lambda: webtorch.register_forward("tanh", source, device="webgpu", override=True)) == code


@pytest.mark.gpu
def test_what_the_driver_refuses_is_shown_with_line_numbers():
    with webtorch.registerUnaryOp("mixed_up", shader="{x} + 1u", dtypes="float32"):
        with pytest.raises(ShaderCompileError) as caught:
            webtorch.mixed_up(webtorch.ones(2, device="webgpu")).tolist()
        assert re.search(r"^ +\d+ \| .*1u", str(caught.value), re.M)
        del caught  # it holds the tensor that cannot be computed
        gc.collect()
    assert webtorch.ones(2, device="webgpu").add(1).tolist() == [2.0, 2.0]


@pytest.mark.gpu
def test_a_shader_that_does_not_compile_names_what_is_in_it():
    with webtorch.registerUnaryOp("mixed_up", shader="{x} + 1u", dtypes="float32"):
        with pytest.raises(ShaderCompileError) as caught:
            x = webtorch.ones(2, 3, device="webgpu")
            (webtorch.mixed_up(x * 2).tanh() + x).tolist()
        message = str(caught.value)
        for part in ("mul float32[2, 3]", "mixed_up float32[2, 3]", "tanh float32[2, 3]", "add float32[2, 3]"):
            assert part in message, message
        adapter = webtorch.backends.wgpu.get_device().adapter
        assert adapter.name in message and "WEBTORCH_DEBUG=3" in message and "1u" in caught.value.source
        del caught
        gc.collect()


# ---- the loops of kernels ------------------------------------------------------------------------------------------

SUM_BEFORE = """fn sums(i: u32) -> T {
    var total = load_x(0u);
    let end = min(i + 1u, size_x());
    for (var k = 1u; k < end; k++) { if (load_x(k) < 0.0) { break; } total += load_x(k); }
    return total;
}"""


@pytest.mark.gpu
def test_loops_with_a_bound_run():
    with webtorch.register_forward("neg", SUM_BEFORE, dtype="float32", device="webgpu", override=True):
        x = webtorch.arange(5.0, device="webgpu")
        assert webtorch.neg(x).tolist() == [0.0, 1.0, 3.0, 6.0, 10.0]
        assert webtorch.neg(x - 1).tolist() == [-1.0, -1.0, 0.0, 2.0, 5.0]
        long = webtorch.ones(70_000, device="webgpu")
        with pytest.raises(RegistryError, match="neg: the kernel.*go round 70000 times.*65"):
            webtorch.neg(long)
        assert webtorch.neg(x).tolist() == [0.0, 1.0, 3.0, 6.0, 10.0]


def looping(text, call="f"):
    return find_loops(f"fn f(i: u32) -> T {{ {text} }}", "i", {"size", "size_x"}, call)


@pytest.mark.parametrize(
    ("text", "trips"),
    [
        ("return load_x(i);", 0),
        ("for (var k = 0u; k < 10u; k++) { }", 11),
        ("for (var k: u32 = 0u; k <= size_x() / 2u; k += 3u) { }", 18),
        ("for (var k = 2u; k < 8u && load_x(k) > 0.0; k += 1u) { break; }", 7),
        ("const n = 4u; for (var k = 0u; k < n; k++) { for (var j = 0u; j < k; j++) { } }", 1 + 4 * (1 + 1 + 3)),
        ("for (var k = 0u; k < 2u; k++) { } for (var k = 0u; k < 0x3u; k++) { }", 3 + 4),
        ("let n = size() - i; for (var k = 0u; k < n * 2u; k++) { }", 21),
        ("for (var k = i; k < size_x(); k++) { }", 101),
        ("for (var k = 0; k < i32(1u << 3u); k++) { continue; }", 9),
        ("for (var k = 0u; k < max(size(), 3u) % 7u; k++) { }", 7),
    ],
)
def test_bounds_of_loops(text, trips):
    assert looping(text).trips({"size": 10, "size_x": 100}) == trips


@pytest.mark.parametrize(
    "text",
    [
        "while (true) { }", "loop { break; }", "for (;;) { break; }", "for (var k = 0u; ; k++) { break; }",
        "for (var k = 0u; k < u32(load_x(i)); k++) { }", "for (var k = 0u; k < 9u; k += i) { }",
        "for (var k = 0u; k < 9u; k--) { }", "for (var k = 9u; k > 0u; k--) { }", "var k = 0u; for (; k < 9u; k++) { }",
        "for (var k = 0u; k < 9u; k++) { k = 0u; }", "for (var k = 0u; k < 9u; k++) { let p = &k; *p = 0u; }",
        "for (var k = 0u; k < 9u; k++) { for (var k = 0u; k < 2u; k++) { } }",
        "for (var k = 0u; k < 9u || load_x(0u) > 0.0; k++) { }", "for (var k = 0u; k < n; k++) { }",
        "let n = 3u; { let n = u32(load_x(0u)); for (var k = 0u; k < n; k++) { } }",
        "let n = n; for (var k = 0u; k < n; k++) { }", "for (var k = -5; k < 5; k++) { }",
        "{ let i = 4000000000u; for (var k = 0u; k < i; k++) { } }", "for (var k = 0u; k < 9u; k += 0u) { }",
        "for (var k = 0u; k < 9u; k++) k;", "for (var k = 0u; k + 1u < 9u; k++) { }",
    ],
)  # fmt: skip
def test_loops_without_a_known_bound_are_refused(text):
    assert code_of(lambda: looping(text)) == "invalid_config_error"


@pytest.mark.parametrize("text", ["size_x() - 11u", "2147483647u + i", "65536u * 65536u", "1u << 31u", "1u << i"])
def test_bounds_that_may_wrap_are_refused_when_it_runs(text):
    loops = looping(f"for (var k = 0u; k < {text}; k++) {{ }}")
    with pytest.raises(RegistryError):
        checked_trips(loops, {"size": 40, "size_x": 10}, 65_000, "f")


# ---- kernels --------------------------------------------------------------------------------------------------------

REVERSED = "fn f(i: u32) -> T { return load_x(size_x() - 1u - i); }"


@pytest.mark.gpu
def test_a_kernel_reads_any_element_and_fuses():
    with webtorch.register_forward("neg", REVERSED, dtype="float32", device="webgpu", override=True):
        x = webtorch.arange(6.0, device="webgpu")
        webtorch.sync_device("webgpu")
        with webtorch.debug.kernels() as kernels:
            found = (webtorch.neg(x * 2) + 1).tolist()
        assert found == [11.0, 9.0, 7.0, 5.0, 3.0, 1.0] and len(kernels) == 1
        assert webtorch.neg(x.reshape(2, 3).T).tolist() == [[5.0, 2.0], [4.0, 1.0], [3.0, 0.0]]
        assert webtorch.neg(x[:0]).tolist() == []
        assert webtorch.neg(x.to(webtorch.int32)).tolist() == [0, -1, -2, -3, -4, -5]
    assert webtorch.neg(x).tolist() == [0.0, -1.0, -2.0, -3.0, -4.0, -5.0]


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float16", "int8", "bool"])
def test_a_kernel_of_narrow_dtypes(dtype):
    source = "fn f(i: u32) -> T { return load_x((i + 1u) % size_x()); }"
    row = "logical_not" if dtype == "bool" else "abs"
    with webtorch.register_forward(row, source, dtype=dtype, device="webgpu", override=True):
        x = webtorch.tensor([1, 0, 0, 1, 1, 0, 1], device="webgpu").to(webtorch.getDType(dtype))
        assert getattr(webtorch, row)(x).to(webtorch.int32).tolist() == [0, 0, 1, 1, 0, 1, 1]


@pytest.mark.gpu
def test_a_kernel_gets_numbers():
    source = "fn f(i: u32) -> T { return load_x(i) * load_negative_slope(0u); }"
    with webtorch.register_forward("leaky_relu", source, dtype="float32", device="webgpu", override=True):
        x = webtorch.ones(3, device="webgpu")
        assert [webtorch.leaky_relu(x, slope)[0].item() for slope in (0.5, 2.0)] == [0.5, 2.0]


def test_kernels_of_other_kinds_of_ops(device):
    """A reduction and a softmax are ops, too."""
    kernel = (lambda x: x * 0 + 7) if device == "cpu" else "fn f(i: u32) -> T { return T(7); }"
    x = webtorch.rand(3, 4, device=device)
    with webtorch.register_forward("softmax", kernel, device=device, override=True):
        assert webtorch.softmax(x, 1).tolist() == [[7.0] * 4] * 3
    assert webtorch.softmax(x, 1).sum().item() == pytest.approx(3)


def test_which_kernel_is_taken(device):
    """Predicates first, newer before older, the op's own last."""

    def constant(value):
        return (lambda x: np.full_like(x, value)) if device == "cpu" else f"{{x}} * 0.0 + {value}.0"

    def found():
        return webtorch.exp(webtorch.zeros(2, device=device))[0].item()

    register = webtorch.register_scalar_forward
    with register("exp", constant(2), dtype="float32", device=device, override=True):
        assert found() == 2
        with register("exp", constant(3), dtype="float32", device=device, predicate=lambda inputs, attributes: True):
            assert found() == 3
            with register("exp", constant(4), dtype="float32", device=device, override=True):
                assert found() == 3
            with register(
                "exp", constant(5), device=device, predicate=lambda inputs, attributes: inputs[0].shape == (2,)
            ):
                assert found() == 5
                assert webtorch.exp(webtorch.zeros(3, device=device))[0].item() == 3
                entry = webtorch.findKernelWithPredicate("exp", "float32", device, (webtorch.zeros(2),))
                assert entry.predicate is not None and entry.op == "exp"
    assert found() == 1
    assert webtorch.findKernelWithPredicate("exp", "float32", device, (webtorch.zeros(2),)) is None


def test_the_form_with_a_number(device):
    kernel = (lambda x, y: x + 100 * y) if device == "cpu" else "{x} + 100.0 * {y}"
    with webtorch.register_scalar_forward(
        "add", kernel, dtype="float32", device=device, override=True, with_number=True
    ):
        x = webtorch.ones(2, device=device)
        assert (x + 2).tolist() == [201.0, 201.0] and (x + x).tolist() == [2.0, 2.0]


def test_a_host_kernel_writes_or_returns():
    def writes(x, out):
        out[...] = x + 5

    x = webtorch.zeros(2, device="cpu")
    for kernel in (writes, np.exp, lambda x: x + 5):
        with webtorch.register_forward("tanh", kernel, dtype="float32", device="cpu", override=True):
            assert webtorch.tanh(x).tolist() == ([1.0, 1.0] if kernel is np.exp else [5.0, 5.0])


def test_kernels_that_do_not_fit():
    register = webtorch.register_forward
    assert code_of(lambda: register("tanh", lambda: 1, override=True)) == "kernel_signature_mismatch_error"
    assert code_of(lambda: register("tanh", np.add, override=True)) == "kernel_signature_mismatch_error"
    assert code_of(lambda: register("tanh", lambda x: x)) == "registration_failed_error"
    assert code_of(lambda: register("tanhh", lambda x: x)) == "op_not_found_error"
    assert code_of(lambda: register("linspace", lambda x: x)) == "op_kind_mismatch_error"
    assert code_of(lambda: register("tanh", "text", override=True)) == "invalid_config_error"
    assert code_of(lambda: register("tanh", lambda x: x, dtype="float33")) == "dtype_not_found_error"
    assert code_of(lambda: register("tanh", lambda x: x, device="*")) == "invalid_config_error"
    assert code_of(lambda: register("tanh", lambda x: x, predicate=3)) == "invalid_config_error"
    assert code_of(lambda: webtorch.register_scalar_forward("sum", lambda x: x)) == "op_kind_mismatch_error"
    with pytest.raises(DeviceError):
        register("tanh", lambda x: x, device="abacus")
    x = webtorch.zeros(2, device="cpu")
    with register("tanh", lambda x: np.zeros((3, 3)), device="cpu", override=True):
        assert code_of(lambda: webtorch.tanh(x)) == "kernel_signature_mismatch_error"
    with register("tanh", lambda x: x, predicate=lambda inputs, attributes: "yes"):
        assert code_of(lambda: webtorch.tanh(x)) == "kernel_signature_mismatch_error"
    assert webtorch.tanh(x).tolist() == [0.0, 0.0]


# ---- derivatives ----------------------------------------------------------------------------------------------------


def test_derivatives_for_one_dtype_or_device(device):
    with webtorch.register_backward("sin", lambda ctx, g: g * 5, dtype="float32", device=device, override=True):
        x = webtorch.tensor([0.0], device=device, requires_grad=True)
        assert webtorch.autograd.grad(x.sin(), x)[0].tolist() == [5.0]
        wide = webtorch.tensor([0.0], device="cpu", dtype=webtorch.float64, requires_grad=True)
        assert webtorch.autograd.grad(wide.sin(), wide)[0].tolist() == [1.0]
    assert webtorch.autograd.grad(x.sin(), x)[0].tolist() == [1.0]


@pytest.mark.parametrize(
    "backward", [lambda ctx, g: (g, g), lambda ctx, g: 3.0, lambda ctx, g: g.sum().expand(7), lambda ctx, g: ()]
)
def test_gradients_that_do_not_fit(backward, device):
    with webtorch.register_backward("sin", backward, override=True):
        x = webtorch.ones(2, device=device, requires_grad=True)
        assert code_of(lambda: x.sin().sum().backward()) == "autograd_gradient_mismatch_error"


def test_derivatives_that_cannot_be_registered():
    register = webtorch.register_backward
    assert code_of(lambda: register("sin", lambda ctx, g: g)) == "registration_failed_error"
    assert code_of(lambda: register("no_such", lambda ctx, g: g)) == "op_not_found_error"
    assert code_of(lambda: register("sin", 3, override=True)) == "invalid_config_error"
    assert code_of(lambda: register("sin", lambda: 3, override=True)) == "kernel_signature_mismatch_error"
    assert (
        code_of(lambda: register("sin", by_backward, save_for_backward="all", override=True)) == "invalid_config_error"
    )
    assert code_of(lambda: register({"op": "sin", "bakward": by_backward})) == "invalid_config_error"
    assert code_of(lambda: webtorch.getAutograd("eq")) == "autograd_not_registered_error"


# ---- functions and methods -------------------------------------------------------------------------------------------


def test_overriding_gives_back_what_was_there(device):
    own = webtorch.relu
    with webtorch.register_function("relu", lambda x: x * 0 + 9, override=True):
        with webtorch.register_method("relu", lambda x: x * 0 + 8, override=True):
            x = webtorch.ones(1, device=device)
            assert webtorch.relu(x).item() == 9 and x.relu().item() == 8
            assert webtorch.list_functions(custom=True) == ["relu"] == webtorch.list_methods(custom=True)
    assert webtorch.relu is own and webtorch.ones(1).relu().item() == 1


@pytest.mark.parametrize("name", ["add", "nn", "webgpu", "Tensor", "float32", "vmap"])
def test_names_that_are_taken(name):
    assert code_of(lambda: webtorch.register_function(name, print)) == "function_already_registered_error"


def test_methods_that_are_taken():
    assert code_of(lambda: webtorch.register_method("shape", print)) == "method_already_registered_error"
    with webtorch.register_method("shout", lambda x: "!"):
        assert code_of(lambda: webtorch.register_method("shout", print)) == "method_already_registered_error"
        assert webtorch.ones(1).shout() == "!"
    assert code_of(lambda: webtorch.register_method("shout", 3)) == "invalid_config_error"
    assert (
        code_of(lambda: webtorch.getMethod("shout"))
        == code_of(lambda: webtorch.getFunction("shout"))
        == "op_not_found_error"
    )


# ---- dtypes ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def pair(device):
    """A dtype of two components, with a product (of complex numbers) and a sum."""

    def product(x, y):
        (a, b), (c, d) = x.unbind(-1), y.unbind(-1)
        return webtorch.stack([a * c - b * d, a * d + b * c], -1)

    with (
        webtorch.register_dtype(
            "pair_f32", 2, promotes_from=("float32",), component_names=("first", "second")
        ) as handle,
        webtorch.register_forward("mul", product, dtype="pair_f32", device="*"),
        webtorch.register_forward("add", lambda x, y: x + y, dtype=handle.dtype, device="*"),
    ):
        yield handle.dtype


def test_a_dtype_computes_moves_and_prints(pair, device):
    x = webtorch.tensor([[1.0, 2.0], [3.0, 4.0], [0.0, 1.0]], dtype=pair, device=device)
    assert x.shape == (3,) and x.dtype is pair and x.device == device and len(x) == 3 and webtorch.is_tensor(x)
    assert (
        (x * x).tolist() == webtorch.mul(x, x).tolist() == x.mul(x).tolist() == [[-3.0, 4.0], [-7.0, 24.0], [-1.0, 0.0]]
    )
    assert (x + 1).tolist() == [[2.0, 2.0], [4.0, 4.0], [1.0, 1.0]]
    assert (webtorch.tensor([1.0, 2.0, 3.0], device=device) * x).tolist() == [[1.0, 2.0], [6.0, 8.0], [0.0, 3.0]]
    assert x[1:].tolist() == [[3.0, 4.0], [0.0, 1.0]] and x[2].item() == (0.0, 1.0)
    assert x.reshape(3, 1).expand(3, 2).T.shape == (2, 3) if hasattr(x, "_T") else x.reshape(1, -1).shape == (1, 3)
    assert x.unsqueeze(-1).transpose(0, -1).shape == (1, 3) and x.unsqueeze(0).squeeze().shape == (3,)
    assert webtorch.cat([x, x]).shape == (6,) and webtorch.stack([x, x], 1).shape == (3, 2)
    assert x.first.tolist() == [1.0, 3.0, 0.0] and x.second.tolist() == [2.0, 4.0, 1.0]
    assert [part.item() for part in x.unbind()] == [(1.0, 2.0), (3.0, 4.0), (0.0, 1.0)] == [part.item() for part in x]
    assert webtorch.zeros(2, 2, dtype="pair_f32", device=device).shape == (2, 2)
    assert webtorch.zeros_like(x).tolist() == [[0.0, 0.0]] * 3
    assert x.to("cpu").device == "cpu" and x.clone().tolist() == x.tolist()
    x[0] = webtorch.tensor([9.0, 8.0], dtype=pair, device=device)
    assert x[0].item() == (9.0, 8.0)
    with webtorch.device(device):
        assert repr(webtorch.zeros(1, dtype=pair)) == "tensor([[0., 0.]], dtype=webtorch.pair_f32)"


def test_gradients_flow_through_a_dtype(pair, device):
    x = webtorch.tensor([1.0, 2.0], dtype=pair, device=device, requires_grad=True)
    y = x * x
    assert y.requires_grad and not y.is_leaf and x.is_leaf
    y.first.backward()
    assert x.grad.item() == (2.0, -4.0)  # the square's first component is a a - b b


@pytest.mark.gpu
def test_a_dtypes_arithmetic_fuses():
    with webtorch.register_dtype("pair_f32", 2) as handle:
        with webtorch.register_forward("mul", lambda x, y: x * y + 1, dtype=handle.dtype, device="*"):
            x = webtorch.tensor([[1.0, 2.0]] * 8, dtype=handle.dtype, device="webgpu")
            webtorch.sync_device("webgpu")
            with webtorch.debug.kernels() as kernels:
                found = (x * x * x).tolist()
            assert found == [[3.0, 11.0]] * 8 and len(kernels) == 1


def test_what_a_dtype_cannot_do_raises(pair, device):
    x = webtorch.tensor([[1.0, 2.0]], dtype=pair, device=device)
    for call in (
        lambda: x.sin(),
        lambda: x.sum(),
        lambda: x - x,
        lambda: x @ x,
        lambda: x.cumsum(0),
        lambda: webtorch.sort(x),
    ):
        assert code_of(call) == "kernel_not_registered_error"
    with pytest.raises(DTypeError, match="does not become"):
        x * webtorch.ones(1, dtype=webtorch.int64, device=device)
    with pytest.raises(DTypeError, match="not converted"):
        x.to(dtype=webtorch.float32)
    with pytest.raises(RegistryError, match="last dimension"):
        pair.from_components(webtorch.ones(3))
    assert code_of(lambda: x.view(-1, 2)) == "dtype_components_mismatch_error"


def test_dtypes_that_cannot_be_registered():
    register = webtorch.register_dtype
    assert code_of(lambda: register("float32", 2)) == "dtype_already_registered_error"
    assert code_of(lambda: register("pair", 2, zero=(0, 0, 0))) == "dtype_components_mismatch_error"
    assert code_of(lambda: register("pair", 2, component_names=("a",))) == "dtype_components_mismatch_error"
    assert code_of(lambda: register("pair", 2, component_names=("a", "a"))) == "dtype_components_mismatch_error"
    assert code_of(lambda: register("pair", 2, component_names=("shape", "b"))) == "invalid_config_error"
    assert code_of(lambda: register("pair", 2, "float33")) == "dtype_not_found_error"
    assert code_of(lambda: register("pair", 0)) == code_of(lambda: register("pair")) == "invalid_config_error"
    assert code_of(lambda: register("pair", 2, layout="diagonal")) == "invalid_config_error"
    assert code_of(lambda: register("pair", 2, promotes_to="triple")) == "dtype_not_found_error"
    assert code_of(lambda: register({"name": "pair", "componets": 2})) == "invalid_config_error"


def test_promotion_between_registered_dtypes(device):
    with (
        webtorch.register_dtype("triple", 3, zero=(0, 0, 5)),
        webtorch.register_dtype({"name": "pair", "components": 2, "componentType": "float32", "promotes_to": "triple"}),
        webtorch.register_forward("add", lambda x, y: x + y, dtype="triple", device="*"),
    ):
        x = webtorch.tensor([1.0, 2.0], dtype="pair", device=device)
        y = webtorch.tensor([1.0, 1.0, 1.0], dtype="triple", device=device)
        assert (x + y).item() == (2.0, 3.0, 6.0) == (y + x).item()
        assert webtorch.zeros((), dtype="triple").item() == (0.0, 0.0, 5.0)


def test_component_views_planar_layout_and_information(device):
    with webtorch.register_dtype("pair", 2, "int32", layout="planar", allow_component_view=True) as handle:
        x = webtorch.tensor([[1, 2], [3, 4]], dtype="pair", device=device)
        assert x.view(-1, 2).tolist() == [[1, 2], [3, 4]] and x.components().stride() == (1, 2)
        assert webtorch.get_dtype_info("pair") == webtorch.get_dtype_info(handle.dtype) == {
            "name": "pair", "components": 2, "component_type": "int32", "layout": "planar", "is_builtin": False,
            "component_names": None, "allow_component_view": True, "itemsize": 8,
        }  # fmt: skip
        assert (
            webtorch.list_custom_dtypes() == ["pair"]
            and "pair" in webtorch.list_dtypes()
            and webtorch.has_dtype("pair")
        )
        assert webtorch.getDType("pair") is handle.dtype is webtorch.validateDType(handle.dtype)
    assert code_of(lambda: webtorch.getDType("pair")) == "dtype_not_found_error" and not webtorch.has_dtype("pair")
    assert code_of(lambda: webtorch.validateDType(3.5)) == "dtype_not_found_error"


# ---- devices --------------------------------------------------------------------------------------------------------


class Slate:
    """A device in numpy; methods by torch.js's names."""

    name = "slate"

    def __init__(self, **capabilities):
        self.capabilities = capabilities
        self.ops, self.made, self.destroyed, self.synced = [], 0, 0, 0

    def initialize(self):
        return {"made": True}

    def createBuffer(self, size, usage):
        outer = self
        outer.made += 1

        class Buffer:
            memory = np.zeros(size, np.uint8)

            def destroy(self):
                outer.destroyed += 1

        return Buffer()

    def writeBuffer(self, buffer, data, offset):
        buffer.memory[offset : offset + len(data)] = data

    def readBuffer(self, buffer, size, offset):
        return bytes(buffer.memory[offset : offset + size])

    def dispatch(self, work):
        self.ops.append(work.op)
        work.compute(lambda buffer: buffer.memory)

    def sync(self):
        self.synced += 1


def test_a_program_runs_on_a_registered_device():
    """The same numbers as on the cpu, of ops of every kind; a network learns there."""
    slate = Slate()
    with webtorch.register_device(slate):

        def program(device):
            webtorch.manual_seed(3)
            model = webtorch.nn.Sequential(
                webtorch.nn.Conv2d(1, 2, 3), webtorch.nn.ReLU(), webtorch.nn.MaxPool2d(2), webtorch.nn.Flatten(), webtorch.nn.Linear(18, 3)
            ).to(device)  # fmt: skip
            optimizer = webtorch.optim.Adam(model.parameters(), lr=0.01)
            x, target = webtorch.rand(4, 1, 8, 8, device=device), webtorch.tensor([0, 1, 2, 1], device=device)
            losses = []
            for _ in range(3):
                optimizer.zero_grad()
                loss = webtorch.nn.functional.cross_entropy(model(x), target)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            y = x.reshape(4, 64)
            y[0, 1:3] = 7
            more = [y.sort(1).values[:, -3:], y.cumsum(1)[:, -1], webtorch.cat([y, y])[5, :3], y.median(), y.std(0)]
            more += [y[webtorch.tensor([1, 0], device=device)], webtorch.randn(4, device=device)]
            return losses, [value.to("cpu").tolist() for value in more]

        wanted, found = program("cpu"), program("slate")
        assert found == wanted
        assert {"_contract", "_cat", "_softmax" if "_softmax" in slate.ops else "log_softmax", "_write"} <= set(
            slate.ops
        )
        webtorch.sync_device("slate")
        assert slate.synced == 1
    gc.collect()
    assert slate.destroyed == slate.made > 100


def test_registered_devices_are_known_everywhere():
    slate = Slate(dtypes=("float32", "int64", "bool"))
    handle = webtorch.register_device(slate)
    assert webtorch.has_device("slate") and webtorch.list_custom_devices() == ["slate"]
    assert "slate" in [device.type for device in webtorch.list_devices()]
    assert webtorch.get_device_config("slate") is slate
    assert webtorch.initialize_device("slate") == "slate" and webtorch.get_device_context("slate") == {"made": True}
    with webtorch.device("slate"):
        x = webtorch.ones(3)
        assert x.device == "slate" and repr(x + 1).startswith("tensor([2., 2., 2.]")
    with pytest.raises(DTypeError, match="slate.*float64.*float32, int64, bool"):
        x.to(webtorch.float64)
    with pytest.raises(DeviceError, match="same device"):
        x + webtorch.ones(3, device="cpu")
    with webtorch.register_forward("exp", lambda x: x * 0 + 3, dtype="float32", device="slate", override=True):
        assert x.exp().tolist() == [3.0] * 3
    with pytest.raises(RuntimeError, match="modified"):
        leaf = webtorch.ones(2, device="slate", requires_grad=True)
        y = leaf * 2
        z = y * y
        y.add_(1)
        z.sum().backward()
    kept = webtorch.arange(3, device="slate")
    webtorch.unregister_device("slate")
    handle.remove()
    assert kept.tolist() == [0, 1, 2]
    with pytest.raises(DeviceError, match="unregistered"):
        kept + 1
    with pytest.raises(DeviceError):
        webtorch.get_device_config("slate")
    with pytest.raises(DeviceError):
        webtorch.unregister_device("cpu")


def test_devices_that_cannot_be_registered():
    class Half:
        name = "half_device"

        def initialize(self):
            pass

    assert code_of(lambda: webtorch.register_device(Half())) == "invalid_config_error"
    for name in ("cpu", "webgpu", "meta", "cuda"):
        assert code_of(lambda name=name: webtorch.register_device(Slate(), name=name)) == "registration_failed_error"
    assert code_of(lambda: webtorch.validateDevice("abacus")) == "device_error_requires"
    assert webtorch.validateDevice("cpu") == "cpu" and not webtorch.has_device("abacus")


def test_a_device_that_reads_too_little():
    class Short(Slate):
        def readBuffer(self, buffer, size, offset):
            return b""

    with webtorch.register_device(Short()):
        with pytest.raises(DeviceError, match="gave 0 bytes where 4"):
            webtorch.ones(1, device="slate").item()


# ---- names ----------------------------------------------------------------------------------------------------------


def test_both_spellings_are_one_function():
    for name, (function, aliases) in registry.FUNCTIONS.items():
        for each in (name, *aliases):
            assert getattr(webtorch, each) is function, each


def test_registering_and_removing_from_threads():
    import threading

    failed = []

    def work(number):
        try:
            for _ in range(20):
                with webtorch.registerUnaryOp(f"op_{number}", lambda x: x + number, dtypes="float32") as handle:
                    assert handle(webtorch.zeros(1, device="cpu")).item() == number
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_unknown_options_are_named():
    with pytest.raises(RegistryError, match="Did you mean 'backward'"):
        webtorch.registerUnaryOp({"op": "x1", "cpu": lambda x: x, "bacward": None})
    assert code_of(lambda: webtorch.registerUnaryOp("x1")) == "invalid_config_error"
    assert code_of(lambda: webtorch.registerUnaryOp("x1", lambda x: x, result="complex")) == "invalid_config_error"
    assert code_of(lambda: webtorch.registerUnaryOp("tanh", lambda x: x)) == "function_already_registered_error"
    assert code_of(lambda: webtorch.registerUnaryOp("x1", lambda x, y: x)) == "kernel_signature_mismatch_error"
    assert (
        code_of(lambda: webtorch.registerUnaryOp("x1", lambda x: x, vjp=(None, None)))
        == "autograd_gradient_mismatch_error"
    )
    assert code_of(lambda: webtorch.registerUnaryOp("x1", lambda x: x, vjp=(lambda g, q: g,))) == "invalid_config_error"
    assert errors.CODES["invalid_config_error"] is RegistryError
