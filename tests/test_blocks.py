"""Large elementwise work on the cpu is done in blocks by several threads: the same bits as all at once."""

import os

import numpy as np
import pytest

import webtorch
from webtorch import blocks


@pytest.mark.parametrize("size", [blocks.WORTH - 1, blocks.WORTH, blocks.WORTH + 7, 5 * blocks.BLOCK + 1])
def test_elementwise_is_the_same_in_blocks(size, monkeypatch):
    x = np.random.default_rng(0).standard_normal(size).astype(np.float32)
    t = webtorch.tensor(x, device="cpu")
    calls = [
        lambda t: t * 2 + t,
        lambda t: t.sigmoid(),
        lambda t: webtorch.where(t > 0, t, -1.0),
        lambda t: t.clamp(-1, 1),
        lambda t: t.half().float(),
    ]
    got = [call(t).numpy() for call in calls]
    monkeypatch.setattr(blocks, "WORTH", 1 << 60)
    for one, call in zip(got, calls, strict=True):
        np.testing.assert_array_equal(one, call(t).numpy())
    monkeypatch.setattr("webtorch.determinism.get_num_threads", lambda: 1)
    monkeypatch.setattr(blocks, "WORTH", 1)
    for one, call in zip(got, calls, strict=True):
        np.testing.assert_array_equal(one, call(t).numpy())


def test_broadcasts_and_views_are_computed_all_at_once():
    x = np.arange(2.0**18, dtype=np.float32).reshape(512, 512)
    t = webtorch.tensor(x, device="cpu")
    np.testing.assert_array_equal((t.t() + t[0]).numpy(), x.T + x[0])
    np.testing.assert_array_equal((t * webtorch.tensor(2.0, device="cpu")).numpy(), x * 2)


@pytest.mark.parametrize("shape", [(4096, 64), (3, 70000), (64, 64, 64), (200000,)])
def test_rows_are_the_same_in_blocks(shape):
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    exact = np.exp(x.astype(np.float64) - x.max(-1, keepdims=True))
    exact /= exact.sum(-1, keepdims=True)
    t = webtorch.tensor(x, device="cpu")
    np.testing.assert_allclose(webtorch.softmax(t, -1).numpy(), exact, rtol=1e-5)
    np.testing.assert_allclose(webtorch.log_softmax(t, -1).numpy(), np.log(exact), rtol=1e-5, atol=1e-5)
    if shape[-1] < 10000:
        wide = x.astype(np.float64) - x.mean(-1, keepdims=True, dtype=np.float64)
        norm = webtorch.nn.functional.layer_norm(t, shape[-1:])
        np.testing.assert_allclose(norm.numpy(), wide / np.sqrt((wide**2).mean(-1, keepdims=True) + 1e-5), atol=1e-5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_child_makes_threads_of_its_own():
    t = webtorch.ones(1 << 19, device="cpu")
    assert (t * 2).sum().item() == 1 << 20
    child = os.fork()
    if child == 0:
        os._exit(0 if (t * 3).sum().item() == 3 << 19 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "bool", "complex64"])
@pytest.mark.parametrize(
    "shape, order",
    [((700, 513), (1, 0)), ((64, 70, 130), (2, 1, 0)), ((3, 600, 300), (0, 2, 1)), ((300, 4, 300), (2, 0, 1))],
)
def test_transposed_copies_are_numpys(shape, order, dtype):
    x = (np.random.default_rng(1).standard_normal(shape) * 100).astype(dtype)
    view = x.transpose(order)
    for array in (view, view[:, ::-1], view[..., ::-1], view[1:, ..., 5:]):
        got = blocks.copied(array)
        assert got.flags.c_contiguous and not np.shares_memory(got, x)
        np.testing.assert_array_equal(got, array)
    t = webtorch.tensor(x, device="cpu").permute(order)
    np.testing.assert_array_equal(t.contiguous().numpy(), view)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x + x[0],
        lambda x: x * x[:, :1],
        lambda x: x - x.t(),
        lambda x: x[:, 1:] / 3 + x[:, :-1],
        lambda x: x.reshape(8, 64, 8, 64).permute(2, 1, 0, 3) * 2,
        lambda x: x.reshape(4, 8, 128, 64) + x[0, :8].reshape(8, 1, 1),
        lambda x: (x.expand(3, 512, 512) > 0.5) & (x.flip(0) < x),
        lambda x: x.reshape(2, -1)[:1] + x.reshape(2, -1)[1:],
    ],
)
def test_views_of_every_kind_are_computed_in_blocks(view, monkeypatch):
    x = webtorch.tensor(np.random.default_rng(0).random((512, 512), np.float32), device="cpu")
    found = view(x).numpy()
    monkeypatch.setattr(blocks, "WORTH", 1 << 40)
    expected = view(x).numpy()
    assert found.dtype == expected.dtype and found.flags.c_contiguous
    np.testing.assert_array_equal(found, expected)
