"""Both kernels of attention, forced in turn: ragged numbers of queries, keys and features, masks, dropout, what is carried on."""

import numpy as np
import pytest
from test_attention import drawn, dropped, on, plain

import webtorch
from webtorch import tuning
from webtorch.nn.functional import scaled_dot_product_attention
from webtorch.ops import attention as kernels
from webtorch.ops.matmul import by_lanes

pytestmark = pytest.mark.gpu


@pytest.fixture(params=["rows", "lanes"])
def shader(request):
    """Forces a kernel; SwiftShader's subgroups have four lanes, and can run only the first."""
    variant = request.param if by_lanes() else "rows"
    with tuning.force("attention", variant), webtorch.debug.kernels() as ran:
        yield
    shaders = {kernel.shader for kernel in ran if kernel.shader.startswith("attention")}
    assert shaders and all(shader.endswith("_lanes") == (variant == "lanes") for shader in shaders)


@pytest.mark.parametrize(
    "shader, queries, keys, features, values",
    [
        ("lanes", 16, 32, 32, 32),
        ("lanes", 33, 41, 3, 8),
        ("lanes", 70, 31, 64, 64),
        ("lanes", 9, 100, 16, 5),
        ("lanes", 8, 33, 1, 36),
        ("lanes", 17, 3, 20, 33),
        ("lanes", 130, 129, 4, 4),
        ("rows", 33, 41, 3, 8),
        ("rows", 9, 100, 16, 5),
    ],
    indirect=["shader"],
)
def test_ragged_edges(shader, queries, keys, features, values):
    q, k, v = drawn(2, queries, features), drawn(2, keys, features, seed=1), drawn(2, keys, values, seed=2)
    for causal in (False, True):
        got = scaled_dot_product_attention(*on("webgpu", q, k, v), is_causal=causal, scale=0.4)
        np.testing.assert_allclose(got.numpy(), plain(q, k, v, causal=causal, scale=0.4), rtol=2e-5, atol=2e-6)


def test_masks_and_queries_that_see_nothing(shader):
    q, k, v = drawn(2, 3, 19, 6), drawn(2, 3, 37, 6, seed=1), drawn(2, 3, 37, 6, seed=2)
    for shape in ((19, 37), (1, 37), (2, 1, 1, 37)):
        added = drawn(*shape, seed=3)
        shown = added > 0
        shown[..., 0, :] = False
        for mask in (added, shown, np.where(shown, added, -np.inf).astype(np.float32)):
            got = scaled_dot_product_attention(*on("webgpu", q, k, v), attn_mask=webtorch.tensor(mask, device="webgpu"))
            np.testing.assert_allclose(got.numpy(), plain(q, k, v, mask), rtol=2e-5, atol=2e-6)


def test_strided_factors_and_half_precision(shader):
    q, k, v = drawn(21, 2, 10), drawn(35, 2, 10, seed=1), drawn(35, 2, 9, seed=2)
    expected = plain(*(x.swapaxes(0, 1) for x in (q, k, v)))
    got = scaled_dot_product_attention(*(x.transpose(0, 1) for x in on("webgpu", q, k, v)))
    np.testing.assert_allclose(got.numpy(), expected, rtol=2e-5, atol=2e-6)
    for dtype, tolerance in ((webtorch.float16, 3e-3), (webtorch.bfloat16, 3e-2)):
        got = scaled_dot_product_attention(*(x.transpose(0, 1).to(dtype) for x in on("webgpu", q, k, v)))
        assert got.dtype is dtype
        np.testing.assert_allclose(got.float().numpy(), expected, rtol=tolerance, atol=tolerance)


def test_nan_stays_in_its_row_and_large_scores_do_not_overflow(shader):
    q, k, v = drawn(1, 20, 4) * 100, drawn(1, 40, 4, seed=1) * 100, drawn(1, 40, 4, seed=2)
    q[0, 3, 1] = np.nan
    got = scaled_dot_product_attention(*on("webgpu", q, k, v)).numpy()
    assert np.isnan(got[0, 3]).all()
    rest = np.delete(np.arange(20), 3)
    np.testing.assert_allclose(got[:, rest], plain(q[:, rest], k, v), rtol=1e-4, atol=1e-5)


def gradients(q, k, v, g, mask=None, causal=False):
    """Those of the sum of attention times `g`, in float64."""
    q, k, v, g = (x.astype(np.float64) for x in (q, k, v, g))
    scale = q.shape[-1] ** -0.5
    scores = q @ k.swapaxes(-1, -2) * scale + (0 if mask is None else np.where(mask, 0, -np.inf))
    if causal:
        scores = np.where(np.tril(np.ones(scores.shape[-2:], bool)), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    change = g @ v.swapaxes(-1, -2)
    change = weights * (change - (change * weights).sum(-1, keepdims=True)) * scale
    return change @ k, change.swapaxes(-1, -2) @ q, weights.swapaxes(-1, -2) @ g


@pytest.mark.parametrize(
    "shader, queries, keys, features, values, budget, forms",
    [  # kernels of many features take long to compile: each in one form
        ("lanes", 16, 32, 32, 32, 60000, ["mask"]),
        ("lanes", 33, 41, 3, 10, 60000, ["causal", "mask"]),
        ("lanes", 33, 41, 3, 10, 700, [""]),
        ("lanes", 70, 31, 64, 5, 60000, ["causal"]),
        ("lanes", 9, 100, 37, 64, 60000, [""]),
        ("rows", 33, 41, 3, 10, 60000, ["causal", "mask"]),
    ],
    ids=str,
    indirect=["shader"],
)
def test_gradients_of_ragged_shapes(shader, queries, keys, features, values, budget, forms, monkeypatch):
    monkeypatch.setattr(kernels, "BUDGET", budget)
    arrays = drawn(2, queries, features), drawn(2, keys, features, seed=1), drawn(2, keys, values, seed=2)
    g, mask = drawn(2, queries, values, seed=3), drawn(queries, keys, seed=4) > -1
    for given in ({"": {}, "causal": {"causal": True}, "mask": {"mask": mask}}[form] for form in forms):
        tensors = [x.requires_grad_() for x in on("webgpu", *arrays)]
        shown = None if "mask" not in given else webtorch.tensor(mask, device="webgpu")
        got = scaled_dot_product_attention(*tensors, attn_mask=shown, is_causal=given.get("causal", False))
        got.backward(webtorch.tensor(g, device="webgpu"))
        for tensor, expected in zip(tensors, gradients(*arrays, g, **given), strict=True):
            np.testing.assert_allclose(tensor.grad.numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "shader, budget, given",
    [("lanes", 60000, {}), ("lanes", 200, {"is_causal": True}), ("rows", 200, {})],
    ids=str,
    indirect=["shader"],
)
def test_gradients_with_dropout_whether_carried_on_or_not(shader, given, budget, monkeypatch):
    monkeypatch.setattr(kernels, "BUDGET", budget)
    for got, expected in zip(*dropped("webgpu", given), strict=True):
        np.testing.assert_allclose(got, expected, rtol=5e-5, atol=1e-5)


def test_many_keys_with_few_features_stay_within_the_loop_budget(shader):
    q, k, v = drawn(1, 9, 1), drawn(1, 60100, 1, seed=1), drawn(1, 60100, 1, seed=2)
    got = scaled_dot_product_attention(*on("webgpu", q, k, v))
    np.testing.assert_allclose(got.numpy(), plain(q, k, v), rtol=2e-4, atol=2e-5)


def test_reproducible_mode_keeps_its_order():
    q, k, v = on("webgpu", drawn(2, 40, 8), drawn(2, 50, 8, seed=1), drawn(2, 50, 8, seed=2))
    with webtorch.debug.kernels() as ran, webtorch.webgpu.reproducible():
        scaled_dot_product_attention(q, k, v).numpy()
    assert {"attention"} == {kernel.shader for kernel in ran}
