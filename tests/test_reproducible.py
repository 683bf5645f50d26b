"""Reproducible mode: the same bits on unrelated drivers, however the work is cut into kernels."""

import re

import numpy as np
import pytest
from drivers import TESTS, run_on

import webtorch
from webtorch import engine, prelude, reproducible, shaders_path, webgpu
from webtorch.backends.wgpu import get_device
from webtorch.errors import DTypeError, ShaderCompileError

pytestmark = pytest.mark.filterwarnings("ignore:the webgpu device is:RuntimeWarning")
BATTERY = str(TESTS / "reproducible_battery.py")
COMPUTED = ("elementwise", "fused", "half", "places", "products", "random", "reductions", "rows", "training", "whole")


def battery(driver: str, *options: str, **environment: str) -> dict[str, str]:
    lines = run_on(driver, BATTERY, *options, timeout=900, **environment).splitlines()
    found = dict(line.split() for line in lines)
    assert tuple(found) == COMPUTED
    return found


@pytest.fixture
def mode():
    with webgpu.reproducible():
        yield


# ---- the drivers ----------------------------------------------------------------------------------------------------


def test_the_same_bits_on_two_drivers_fused_or_not_in_any_order():
    """Every row of the op table, every kind of kernel, and training: llvmpipe and SwiftShader have no code in common."""
    expected = battery("llvmpipe")
    assert battery("swiftshader") == expected, "SwiftShader"
    assert battery("llvmpipe", "--reversed", WEBTORCH_EAGER="1") == expected, "another order, and one kernel per op"


# ---- the mode -------------------------------------------------------------------------------------------------------


def test_the_mode_is_a_switch():
    assert not webgpu.is_reproducible()
    with webgpu.reproducible():
        assert webgpu.is_reproducible()
        with webgpu.reproducible(False):
            assert not webgpu.is_reproducible()
        assert webgpu.is_reproducible()
    assert not webgpu.is_reproducible()
    with pytest.raises(ValueError, match="left"), webgpu.reproducible():
        raise ValueError("left")
    assert not webgpu.is_reproducible()
    for wrong in (1, None, "yes"):
        with pytest.raises(TypeError, match="expected a bool"):
            webgpu.set_reproducible(wrong)


@pytest.mark.gpu
def test_pending_work_is_computed_in_the_mode_it_was_recorded_in():
    x = webtorch.full((4,), 1e-39, device="webgpu")
    outside = x * 0.5
    webgpu.set_reproducible(True)
    try:
        inside = x * 0.5
        seen = outside.tolist()
    finally:
        webgpu.set_reproducible(False)
    assert inside.tolist() == [0.0] * 4
    with webgpu.reproducible(False):
        assert seen == (x * 0.5).tolist()


@pytest.mark.gpu
def test_denormal_numbers_are_zero_and_every_nan_the_same(mode):
    def bits(*words):
        return webtorch.tensor(np.array(words, np.uint32).view(np.float32), device="webgpu")

    x = bits(0x00000001, 0x807FFFFF, 0x00800000, 0x80800000, 0x00800001, 0xFFC00000, 0x7FC01234, 0x7F800001)
    got = (x * 1).numpy().view(np.uint32).tolist()
    assert got == [0, 0x80000000, 0, 0x80000000, 0x00800001, 0x7FC00000, 0x7FC00000, 0x7FC00000]
    infinity = bits(0x7F800000, 0x7F800000)
    assert (infinity - infinity).numpy().view(np.uint32).tolist() == [0x7FC00000] * 2
    nan = bits(0x7FC00000)
    assert (nan - nan).numpy().view(np.uint32).tolist() == [0x7FC00000]
    assert ((infinity + 1) - infinity).numpy().view(np.uint32).tolist() == [0x7FC00000] * 2
    small = bits(0x00C00000, 0x00800001)  # their difference is denormal
    assert (small[0] - small[1]).numpy().view(np.uint32).tolist() == 0


@pytest.mark.gpu
def test_products_are_rounded_before_they_are_added(mode):
    """As numpy does it, operation by operation."""
    generator = np.random.default_rng(0)
    x, y, z = (generator.standard_normal(20000).astype(np.float32) for _ in range(3))
    a, b, c = (webtorch.tensor(value, device="webgpu") for value in (x, y, z))
    np.testing.assert_array_equal((a * b + c).numpy(), x * y + z)
    np.testing.assert_array_equal((a * 1.1 - 0.7 * b).numpy(), x * np.float32(1.1) - np.float32(0.7) * y)
    np.testing.assert_array_equal((a / b).numpy(), x / y)
    np.testing.assert_array_equal(a.abs().sqrt().numpy(), np.sqrt(np.abs(x)))


@pytest.mark.gpu
def test_a_matrix_product_adds_in_order(mode):
    """Pieces of 128 products, one after the other, whatever the shape of the blocks."""
    generator = np.random.default_rng(1)
    x, y = (
        generator.standard_normal((9, 300)).astype(np.float32),
        generator.standard_normal((300, 7)).astype(np.float32),
    )
    wanted = np.zeros((9, 7), np.float32)
    for first in range(0, 300, 128):
        part = np.zeros((9, 7), np.float32)
        for k in range(first, min(first + 128, 300)):
            part = part + x[:, k : k + 1] * y[k]
        wanted = wanted + part
    got = (webtorch.tensor(x, device="webgpu") @ webtorch.tensor(y, device="webgpu")).numpy()
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.gpu
def test_float64_is_not_covered_and_says_so(mode):
    with pytest.raises(DTypeError, match="float64"):
        (webtorch.ones(3, dtype=webtorch.float64, device="webgpu") * 2).numpy()


@pytest.mark.gpu
def test_kernels_are_made_for_no_adapter_in_particular():
    device = get_device()
    plain = engine.limits_of(device)
    with webgpu.reproducible():
        made = engine.limits_of(device)
    assert made.reproducible and made.is_cpu and "subgroup" not in made.features and not plain.reproducible
    assert engine.limits_of(device) == plain


# ---- the rewriting --------------------------------------------------------------------------------------------------


def body(text: str) -> str:
    return " ".join(text.split("fn wt_")[0].split()).replace(" ", "")


@pytest.mark.parametrize(
    "source, wanted",
    [
        ("fn f(a: f32, b: f32) -> f32 { return a * b + a; }", "returnwt_keep_f32(wt_keep_f32(a*b)+a);"),
        ("fn f(a: u32, b: u32) -> u32 { return a * b + 1u; }", "returna*b+1u;"),
        ("fn f(a: u32) -> f32 { let b = f32(a); let c = b * 2; return -c; }", "letc=wt_keep_f32(b*2);returnwt_keep_f32(-c);"),
        ("fn f(a: vec4<f32>, b: f32) -> vec4<f32> { var c = a; c += b * a; return c; }", "c=wt_keep_vec4_f32(c+wt_keep_vec4_f32(b*a));"),
        ("alias T = f32; fn f(a: array<vec4<T>, 4u>) -> T { return a[1][2] - 1; }", "returnwt_minus_f32(a[1][2],1);"),
        ("struct S { p: f32, q: u32 } fn f(s: S) -> f32 { return s.p * s.p; }", "returnwt_keep_f32(s.p*s.p);"),
        ("fn f(a: f32) -> bool { return a < 1.0 && a - 1.0 > 0; }", "returna<1.0&&wt_minus_f32(a,1.0)>0;"),
        ("fn f(a: u32) -> f32 { return bitcast<f32>(a << 1u); }", "returnwt_keep_f32(bitcast<f32>(a<<1u));"),
        ("@group(0) @binding(0) var<storage, read> x: array<f32>; fn f() -> f32 { return x[3]; }", "returnwt_keep_f32(x[3]);"),
        ("fn f(a: f32, b: f32) -> f32 { return a / b; }", "returnwt_divide_f32(a,b);"),
        ("fn f(a: vec2<f32>) -> vec2<f32> { return a / 2.0f; }", "returnwt_divide_vec2_f32(a,vec2<f32>(2.0f));"),
        ("fn f(a: vec4<f32>) -> f32 { return dot(a, a) + 1f; }", "returnwt_keep_f32(wt_dot_vec4_f32(a,a)+1f);"),
        ("fn f(a: f32) -> f32 { return max(a, 0.0); }", "returnwt_maximum_f32(a,0.0);"),
        ("fn f(a: f32) -> f32 { for (var i = 0u; i < 4u; i++) { if (i == 2u) { continue; } } return a; }", "for(vari=0u;i<4u;i++)"),
    ],
)  # fmt: skip
def test_float_arithmetic_is_spelled_out(source, wanted):
    text = reproducible.rewrite(source)
    assert wanted in text.replace(" ", ""), body(text)


@pytest.mark.parametrize(
    "source, why",
    [
        ("fn f(a: f32) -> f32 { return sin(a); }", "builtin sin"),
        ("fn f(a: f32) -> f32 { return fma(a, a, a); }", "builtin fma"),
        ("fn f(a: f32) -> f32 { return a % 2.0; }", "remainder"),
        ("fn f(a: vec4<f32>) -> vec4<f32> { return floor(a); }", "builtin floor"),
        ("fn f(a: f32) -> f32 { return a * b; }", "type of 'b'"),
    ],
)
def test_what_drivers_compute_each_in_its_own_way_is_refused(source, why):
    with pytest.raises(ShaderCompileError, match=why):
        reproducible.rewrite(source)


def test_the_whole_library_can_be_rewritten():
    """All but what such kernels do not use: double precision, the drivers' own division, lanes that work together."""
    lanes = set(re.findall(r"fn (wt_\w+)", shaders_path.read("lanes.wgsl")))
    for pairs in (False, True):
        refused = set()
        for name in prelude.functions():
            try:
                reproducible.rewrite(prelude.closure([name], (), pairs))
            except ShaderCompileError:
                refused.add(name)
        refused -= lanes
        assert all(name.endswith("_f64") or name.startswith("wt_native") for name in refused), refused
