"""Attention in one kernel: against plain products in float64, its memory, long sequences, and what it leaves to others."""

import numpy as np
import pytest

import webtorch
from webtorch.autograd import gradcheck, gradgradcheck
from webtorch.errors import DTypeError, ShapeError
from webtorch.nn.functional import scaled_dot_product_attention
from webtorch.ops import attention as kernels


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def plain(q, k, v, mask=None, causal=False, scale=None):
    """softmax(q @ k^T * scale + mask) @ v in float64; rows that see nothing give zeros."""
    q, k, v = (x.astype(np.float64) for x in (q, k, v))
    scores = q @ np.swapaxes(k, -1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    if causal:
        scores = np.where(np.tril(np.ones(scores.shape[-2:], bool)), scores, -np.inf)
    top = scores.max(-1, keepdims=True)
    weights = np.exp(scores - np.where(np.isfinite(top), top, 0))
    total = weights.sum(-1, keepdims=True)
    return weights / np.where(total == 0, 1, total) @ v


def on(device, *arrays):
    return [webtorch.tensor(array, device=device) for array in arrays]


@pytest.mark.parametrize("features", [(1, 1), (3, 8), (16, 5), (64, 64)], ids=str)
@pytest.mark.parametrize("causal", [False, True])
def test_values(device, features, causal):
    q, k, v = drawn(2, 33, features[0]), drawn(2, 41, features[0], seed=1), drawn(2, 41, features[1], seed=2)
    got = scaled_dot_product_attention(*on(device, q, k, v), is_causal=causal)
    np.testing.assert_allclose(got.numpy(), plain(q, k, v, causal=causal), rtol=2e-5, atol=2e-6)


def test_masks_of_all_shapes(device):
    q, k, v = drawn(2, 3, 9, 4), drawn(2, 3, 7, 4, seed=1), drawn(2, 3, 7, 4, seed=2)
    for shape in ((9, 7), (1, 7), (3, 9, 7), (2, 1, 1, 7), (2, 3, 9, 7)):
        added = drawn(*shape, seed=3)
        for mask in (added, added > 0):
            got = scaled_dot_product_attention(*on(device, q, k, v), attn_mask=webtorch.tensor(mask, device=device))
            np.testing.assert_allclose(got.numpy(), plain(q, k, v, mask), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("kind", ["bool", "float"])
def test_a_query_that_sees_nothing_gives_zeros_and_no_gradient(device, kind):
    q, k, v = on(device, drawn(1, 9, 4), drawn(1, 8, 4, seed=1), drawn(1, 8, 4, seed=2))
    q.requires_grad_()
    seen = np.arange(9)[:, None] % 3 != np.zeros(8)
    mask = seen if kind == "bool" else np.where(seen, 0, -np.inf).astype(np.float32)
    result = scaled_dot_product_attention(q, k, v, attn_mask=webtorch.tensor(mask, device=device))
    result.sum().backward()
    assert (result.detach().numpy()[0, ::3] == 0).all() and (q.grad.numpy()[0, ::3] == 0).all()
    assert np.isfinite(q.grad.numpy()).all() and (q.grad.numpy()[0, 1] != 0).any()


def test_very_large_scores_do_not_overflow_and_nan_is_kept(device):
    q, k, v = drawn(1, 9, 4) * 100, drawn(1, 12, 4, seed=1) * 100, drawn(1, 12, 4, seed=2)
    got = scaled_dot_product_attention(*on(device, q, k, v)).numpy()
    np.testing.assert_allclose(got, plain(q, k, v), rtol=1e-4, atol=1e-5)
    q[0, 3, 1] = np.nan
    got = scaled_dot_product_attention(*on(device, q, k, v)).numpy()
    assert np.isnan(got[0, 3]).all() and np.isfinite(np.delete(got[0], 3, 0)).all()


def test_gradients_against_differences():
    q, k, v = (webtorch.tensor(drawn(2, n, 3, seed=n).astype(np.float64), requires_grad=True) for n in (5, 4, 4))
    mask = webtorch.tensor(drawn(5, 4) > -0.5)
    for given in ({}, {"is_causal": True, "scale": 0.3}, {"attn_mask": mask}):
        assert gradcheck(lambda *x, given=given: scaled_dot_product_attention(*x, **given), (q, k, v))
        assert gradgradcheck(lambda *x, given=given: scaled_dot_product_attention(*x, **given), (q, k, v))


@pytest.mark.parametrize("given", [{}, {"is_causal": True}], ids=str)
def test_many_keys_are_shared_out_among_dispatches(device, given, monkeypatch):
    """With a small loop budget, several dispatches carry on from each other."""
    arrays = [drawn(2, n, 6, seed=n) for n in (37, 45, 45)]
    results = []
    for budget in (60000, 60):
        monkeypatch.setattr(kernels, "BUDGET", budget)
        q, k, v = (x.requires_grad_() for x in on(device, *arrays))
        out = scaled_dot_product_attention(q, k, v, **given)
        (out * out).sum().backward()
        results.append([x.numpy() for x in (out.detach(), q.grad, k.grad, v.grad)])
    for whole, split in zip(*results, strict=True):
        np.testing.assert_allclose(split, whole, rtol=1e-5, atol=1e-6)


@pytest.mark.gpu
def test_no_matrix_of_scores_on_webgpu():
    length, features = 1024, 8
    q, k, v = (x.requires_grad_() for x in on("webgpu", *(drawn(2, length, features, seed=n) for n in range(3))))
    q.sum().item()
    webtorch.reset_peak_memory_stats()
    before = webtorch.memory_stats()["peak_bytes"]
    with webtorch.debug.kernels() as ran:
        result = scaled_dot_product_attention(q, k, v)
        result.detach().sum().item()
        assert [record.name for record in ran if record.name != "sum"] == ["_attention"]
        result.backward(webtorch.ones_like(result))
        assert (
            np.isfinite(q.grad.numpy()).all()
            and np.isfinite(k.grad.numpy()).all()
            and np.isfinite(v.grad.numpy()).all()
        )
    used = webtorch.memory_stats()["peak_bytes"] - before
    assert 0 < used < 2 * length * length * 4 / 8, used


@pytest.mark.parametrize("chance", [0.0, 0.2])
def test_no_matrix_of_scores_on_the_cpu(chance):
    import tracemalloc

    length = 3000
    q, k, v = (x.requires_grad_() for x in on("cpu", *(drawn(1, length, 8, seed=n) for n in range(3))))
    tracemalloc.start()
    try:
        scaled_dot_product_attention(q, k, v, dropout_p=chance).sum().backward()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert np.isfinite(q.grad.numpy()).all()
    assert peak < length * length * 4 / 2, peak


def test_half_precision_sums_in_single(device):
    q, k, v = (drawn(2, n, 8, seed=n).astype(np.float16) for n in (12, 300, 300))
    tensors = [x.requires_grad_() for x in on(device, q, k, v)]
    got = scaled_dot_product_attention(*tensors)
    assert got.dtype is webtorch.float16
    np.testing.assert_allclose(got.detach().numpy(), plain(q, k, v), rtol=2e-3, atol=2e-4)
    got.float().sum().backward()
    assert all(x.grad.dtype is webtorch.float16 for x in tensors)


@pytest.mark.parametrize(
    "shapes",
    [
        ((2, 1, 8), (2, 7, 8)),
        ((2, 3, 9, 4), (3, 5, 4)),
        ((9, 4), (5, 4)),
        ((1, 9, 300), (1, 5, 300)),
        ((2, 4, 9, 4), (2, 1, 9, 4)),
    ],
    ids=str,
)
def test_few_queries_broadcast_batches_and_many_features(device, shapes):
    q, k = drawn(*shapes[0]), drawn(*shapes[1], seed=1)
    tensors = [x.requires_grad_() for x in on(device, q, k)]
    got = scaled_dot_product_attention(tensors[0], tensors[1], tensors[1])
    np.testing.assert_allclose(got.detach().numpy(), plain(q, k, k), rtol=5e-5, atol=5e-6)
    got.sum().backward()
    assert [x.grad.shape for x in tensors] == [x.shape for x in tensors]


def test_grouped_heads(device):
    q, k, v = drawn(2, 6, 9, 4), drawn(2, 2, 11, 4, seed=1), drawn(2, 2, 11, 5, seed=2)
    for mask in (None, drawn(9, 11), drawn(2, 1, 9, 11) > 0, drawn(6, 9, 11)):
        given = None if mask is None else webtorch.tensor(mask, device=device)
        got = scaled_dot_product_attention(*on(device, q, k, v), attn_mask=given, enable_gqa=True)
        expected = plain(q, np.repeat(k, 3, 1), np.repeat(v, 3, 1), mask)
        np.testing.assert_allclose(got.numpy(), expected, rtol=2e-5, atol=2e-6)


def test_learnt_masks_take_the_plain_way(device):
    q, k = on(device, drawn(2, 9, 4), drawn(2, 8, 4, seed=1))
    mask = webtorch.tensor(drawn(9, 8, seed=5), device=device, requires_grad=True)
    scaled_dot_product_attention(q, k, k, attn_mask=mask).sum().backward()
    assert (mask.grad.numpy() != 0).any()


# ---- dropout ---------------------------------------------------------------------------------------------------------


def dropped(device, given, seed=7, chance=0.3):
    """Attention with dropout and its gradients: by the kernels, and written out with the mask that a seed gives."""
    arrays = [drawn(2, 3, n, 6, seed=n) for n in (37, 45, 46)]
    arrays[2] = arrays[2][:, :, :45]
    weight = webtorch.tensor(drawn(2, 3, 37, 6, seed=9), device=device)
    results = []
    for fused in (True, False):
        q, k, v = (x.requires_grad_() for x in on(device, *arrays))
        webtorch.manual_seed(seed)
        if fused:
            out = scaled_dot_product_attention(q, k, v, dropout_p=chance, **given)
        else:
            kept = (webtorch.rand(2, 3, 37, 45, device=device) >= chance).float() / (1 - chance)
            scores = q @ k.transpose(-2, -1) * 6**-0.5
            if given.get("is_causal"):
                seen = webtorch.ones(37, 45, dtype=webtorch.bool, device=device).tril()
                scores = scores.masked_fill(~seen, float("-inf"))
            out = (scores.softmax(-1) * kept) @ v
        (out * weight).sum().backward()
        results.append([x.numpy() for x in (out.detach(), q.grad, k.grad, v.grad)])
    return results


@pytest.mark.parametrize("budget", [60000, 60])
@pytest.mark.parametrize("given", [{}, {"is_causal": True}], ids=str)
def test_dropout_is_that_of_the_matrix_of_weights(device, given, budget, monkeypatch):
    monkeypatch.setattr(kernels, "BUDGET", budget)
    for got, expected in zip(*dropped(device, given), strict=True):
        np.testing.assert_allclose(got, expected, rtol=5e-5, atol=1e-5)


@pytest.mark.gpu
def test_dropout_is_the_same_on_both_devices():
    for one, other in zip(dropped("cpu", {})[0], dropped("webgpu", {})[0], strict=True):
        np.testing.assert_allclose(one, other, rtol=5e-5, atol=1e-5)


def test_gradients_with_dropout_against_differences():
    q, k, v = (webtorch.tensor(drawn(2, n, 3, seed=n).astype(np.float64), requires_grad=True) for n in (5, 4, 4))

    def attended(*x):
        webtorch.manual_seed(5)
        return scaled_dot_product_attention(*x, dropout_p=0.4, is_causal=True)

    assert gradcheck(attended, (q, k, v)) and gradgradcheck(attended, (q, k, v))


def test_dropout_of_all_and_of_impossible_chances(device):
    q, k = on(device, drawn(2, 9, 4), drawn(2, 8, 4, seed=1))
    assert (scaled_dot_product_attention(q, k, k, dropout_p=1.0).numpy() == 0).all()
    for chance in (-0.5, 1.5):
        with pytest.raises(ValueError, match="between 0 and 1"):
            scaled_dot_product_attention(q, k, k, dropout_p=chance)


def test_dropout_draws_anew_at_every_call(device):
    q, k = on(device, drawn(2, 9, 4), drawn(2, 8, 4, seed=1))
    webtorch.manual_seed(1)
    first, second = (scaled_dot_product_attention(q, k, k, dropout_p=0.5).numpy() for _ in range(2))
    webtorch.manual_seed(1)
    again = scaled_dot_product_attention(q, k, k, dropout_p=0.5).numpy()
    assert (first != second).any()
    np.testing.assert_array_equal(first, again)


@pytest.mark.gpu
def test_a_compiled_step_drops_other_weights_at_every_replay():
    arrays = drawn(2, 9, 4), drawn(2, 8, 4, seed=1)

    def step(q, k):
        q = q.detach().requires_grad_()
        out = scaled_dot_product_attention(q, k, k, dropout_p=0.5)
        out.sum().backward()
        return out.detach(), q.grad

    results = []
    for run in (step, webtorch.compile(step)):
        webtorch.manual_seed(2)
        results.append([[x.numpy() for x in run(*on("webgpu", *arrays))] for _ in range(5)])
    for plainly, compiled in zip(*results, strict=True):
        for one, other in zip(plainly, compiled, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert (results[1][3][0] != results[1][4][0]).any()


@pytest.mark.gpu
def test_training_a_layer_with_dropout_stores_no_matrix_of_weights():
    length = 768
    webtorch.manual_seed(0)
    layer = webtorch.nn.TransformerEncoderLayer(8, 2, 16, dropout=0.2, batch_first=True).to("webgpu")
    x = webtorch.tensor(drawn(2, length, 8), device="webgpu", requires_grad=True)
    x.sum().item()
    webtorch.reset_peak_memory_stats()
    before = webtorch.memory_stats()["peak_bytes"]
    with webtorch.debug.kernels() as ran:
        layer(x).sum().backward()
        gradient = x.grad.numpy()
    assert np.isfinite(gradient).all() and any(record.name.startswith("_attention") for record in ran)
    assert 0 < webtorch.memory_stats()["peak_bytes"] - before < 2 * 2 * length * length * 4 / 2


def test_vmap_and_forward_mode():
    q, k = webtorch.tensor(drawn(3, 9, 4)), webtorch.tensor(drawn(3, 8, 4, seed=1))
    mapped = webtorch.vmap(lambda q, k: scaled_dot_product_attention(q, k, k))(q, k)
    np.testing.assert_allclose(mapped.numpy(), scaled_dot_product_attention(q, k, k).numpy(), rtol=1e-5, atol=1e-6)
    _, tangent = webtorch.func.jvp(lambda q: scaled_dot_product_attention(q, k, k), (q,), (q,))
    step = 1e-3
    difference = (
        scaled_dot_product_attention(q * (1 + step), k, k) - scaled_dot_product_attention(q * (1 - step), k, k)
    ) / (2 * step)
    np.testing.assert_allclose(tangent.numpy(), difference.numpy(), atol=2e-3)


def test_bad_arguments():
    q, k = webtorch.ones(2, 3, 4), webtorch.ones(2, 5, 4)
    with pytest.raises(ShapeError, match="same number of features"):
        scaled_dot_product_attention(q, webtorch.ones(2, 5, 3), k)
    with pytest.raises(ShapeError, match="same length"):
        scaled_dot_product_attention(q, k, q)
    with pytest.raises(ShapeError, match="is_causal"):
        scaled_dot_product_attention(q, k, k, attn_mask=webtorch.ones(3, 5), is_causal=True)
    with pytest.raises(DTypeError, match="same dtype"):
        scaled_dot_product_attention(q, k.double(), k)
    with pytest.raises(DTypeError, match="bool or float"):
        scaled_dot_product_attention(q, k, k, attn_mask=webtorch.ones(3, 5).long())
    with pytest.raises(ShapeError, match="cannot share"):
        scaled_dot_product_attention(
            webtorch.ones(1, 3, 2, 4), webtorch.ones(1, 2, 2, 4), webtorch.ones(1, 2, 2, 4), enable_gqa=True
        )
    with pytest.raises(ShapeError):
        scaled_dot_product_attention(q, k, k, attn_mask=webtorch.ones(3, 4))
    assert scaled_dot_product_attention(webtorch.ones(2, 0, 4), k, k).shape == (2, 0, 4)
