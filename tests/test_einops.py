"""rearrange, reduce, repeat, pack and unpack: values written by hand in numpy's terms, and as the einops package has them
where it is installed; gradients; the seven errors and their hints; the cache."""

import numpy as np
import pytest

import webtorch
from webtorch.autograd import gradcheck
from webtorch.einops import EinopsError


def ramp(*shape):
    return np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape)


# Operation, shape, pattern, sizes, and what it is in numpy's terms (None: only the einops package says).
CASES = [
    ("rearrange", (2, 3, 4), "b h w -> b w h", {}, lambda x: x.transpose(0, 2, 1)),
    ("rearrange", (2, 3, 4), "b h w -> (b h) w", {}, lambda x: x.reshape(6, 4)),
    ("rearrange", (2, 3, 4), "b h w -> h (w b)", {}, lambda x: x.transpose(1, 2, 0).reshape(3, 8)),
    ("rearrange", (6, 4), "(b h) w -> b w h", {"b": 2}, lambda x: x.reshape(2, 3, 4).transpose(0, 2, 1)),
    ("rearrange", (2, 4, 6, 3), "b (h p) (w q) c -> b (h w) (p q c)", {"p": 2, "q": 3},
     lambda x: x.reshape(2, 2, 2, 2, 3, 3).transpose(0, 1, 3, 2, 4, 5).reshape(2, 4, 18)),
    ("rearrange", (2, 3, 4), "... w -> w ...", {}, lambda x: x.transpose(2, 0, 1)),
    ("rearrange", (2, 3, 4, 5), "a ... b -> b (...) a", {}, lambda x: x.transpose(3, 1, 2, 0).reshape(5, 12, 2)),
    ("rearrange", (2, 3), "a b -> a 1 b ()", {}, lambda x: x[:, None, :, None]),
    ("rearrange", (2, 1, 3), "a 1 b -> b a", {}, lambda x: x[:, 0].T),
    ("rearrange", (2, 3), "... -> ...", {}, lambda x: x),
    ("rearrange", (2, 3), "... -> (...)", {}, lambda x: x.reshape(6)),
    ("rearrange", (), "-> 1 1", {}, lambda x: x.reshape(1, 1)),
    ("rearrange", (0, 4), "a (b c) -> a c b", {"b": 2}, lambda x: x.reshape(0, 2, 2)),
    ("rearrange", (6,), "(a b c) -> c a b", {"a": 1, "b": 2}, lambda x: x.reshape(1, 2, 3).transpose(2, 0, 1)),
    ("reduce", (2, 4, 6), "b (h p) (w q) -> b h w", {"p": 2, "q": 3}, None),
    ("reduce", (2, 3, 4), "b h w -> h", {}, None),
    ("reduce", (2, 3, 4), "b h w -> w 1 b", {}, None),
    ("reduce", (2, 3, 4), "... w -> ...", {}, None),
    ("reduce", (2, 3, 4), "b h w ->", {}, None),
    ("reduce", (2, 6), "b (h 2) -> b h", {}, None),
    ("reduce", (2, 3), "b h -> h b", {}, None),
    ("repeat", (2, 3), "h w -> h w c", {"c": 2}, lambda x: np.stack([x, x], 2)),
    ("repeat", (2, 3), "h w -> (r h) w", {"r": 2}, lambda x: np.concatenate([x, x], 0)),
    ("repeat", (2, 3), "h w -> h (w r)", {"r": 3}, lambda x: x.repeat(3, axis=1)),
    ("repeat", (2, 3), "h w -> w 3 h", {}, lambda x: np.stack([x.T] * 3, 1)),
    ("repeat", (2, 3), "... -> ... 2", {}, lambda x: np.stack([x, x], 2)),
    ("repeat", (4,), "(a b) -> b (a c)", {"a": 2, "c": 2}, lambda x: x.reshape(2, 2).T.repeat(2, axis=1)),
]  # fmt: skip
IDS = [f"{case[0]}: {case[2]}" for case in CASES]
NUMPY = {"min": np.min, "max": np.max, "sum": np.sum, "mean": np.mean, "prod": np.prod}
REDUCED = {
    "b (h p) (w q) -> b h w": lambda x, f: f(x.reshape(2, 2, 2, 2, 3), axis=(2, 4)),
    "b h w -> h": lambda x, f: f(x, axis=(0, 2)),
    "b h w -> w 1 b": lambda x, f: f(x, axis=1).T[:, None],
    "... w -> ...": lambda x, f: f(x, axis=2),
    "b h w ->": lambda x, f: f(x),
    "b (h 2) -> b h": lambda x, f: f(x.reshape(2, 3, 2), axis=2),
    "b h -> h b": lambda x, f: x.T,
}


def reductions(operation):
    return tuple(NUMPY) if operation == "reduce" else (None,)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_values(case, device):
    operation, shape, pattern, sizes, meaning = case
    array = np.asarray(ramp(*shape) / 4 + 0.5, np.float32)
    for reduction in reductions(operation):
        extra = () if reduction is None else (reduction,)
        wanted = meaning(array) if reduction is None else REDUCED[pattern](array, NUMPY[reduction])
        x = webtorch.tensor(array, device=device)
        function = getattr(webtorch, operation)
        for made in (function(x, pattern, *extra, **sizes), function(x, pattern, *extra, sizes)):
            assert tuple(made.shape) == np.shape(wanted)
            np.testing.assert_allclose(made.numpy(), wanted, rtol=1e-5)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_the_einops_package_agrees(case):
    einops = pytest.importorskip("einops")
    operation, shape, pattern, sizes, _ = case
    array = np.asarray(ramp(*shape) / 4 + 0.5, np.float32)
    for reduction in reductions(operation):
        extra = () if reduction is None else (reduction,)
        made = getattr(webtorch, operation)(webtorch.tensor(array, device="cpu"), pattern, *extra, **sizes)
        wanted = getattr(einops, operation)(array, pattern, *extra, **sizes)
        assert tuple(made.shape) == wanted.shape
        np.testing.assert_allclose(made.numpy(), wanted, rtol=1e-5)


def test_a_list_is_stacked_and_a_function_reduces(device):
    parts = [webtorch.tensor([1.0, 2.0], device=device), webtorch.tensor([3.0, 4.0], device=device)]
    assert webtorch.rearrange(parts, "n c -> (c n)").tolist() == [1, 3, 2, 4]
    spread = webtorch.reduce(parts, "n c -> c", lambda x, dims: x.amax(dims) - x.amin(dims))
    assert spread.tolist() == [2, 2]
    truths = webtorch.tensor([[True, False], [True, True]], device=device)
    assert webtorch.reduce(truths, "a b -> a", "all").tolist() == [False, True]
    assert webtorch.reduce(truths, "a b -> b", "any").tolist() == [True, True]
    assert webtorch.reduce(webtorch.tensor([[1, 2]], device=device), "a b -> a", "sum").tolist() == [3]


def test_repeat_of_a_tensor_is_pytorchs():
    assert webtorch.tensor([1, 2]).repeat(2).tolist() == [1, 2, 1, 2]
    assert webtorch.repeat is not webtorch.Tensor.repeat


def test_pack_and_unpack(device):
    tensors = [webtorch.tensor(ramp(2, *middle, 5), device=device) for middle in [(3,), (), (2, 2), (0,)]]
    packed, shapes = webtorch.pack(tensors, "i * k")
    assert packed.shape == (2, 8, 5) and shapes == [(3,), (), (2, 2), (0,)]
    assert np.array_equal(packed.numpy(), np.concatenate([t.numpy().reshape(2, -1, 5) for t in tensors], 1))
    for again, tensor in zip(webtorch.unpack(packed, shapes, "i * k"), tensors, strict=True):
        assert again.shape == tensor.shape and np.array_equal(again.numpy(), tensor.numpy())
    first, rest = webtorch.unpack(webtorch.tensor(ramp(7), device=device), [(), (2, -1)], "*")
    assert first.tolist() == 0 and rest.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_gradient():
    x = webtorch.tensor(np.random.default_rng(5).normal(size=(4, 3)), device="cpu", requires_grad=True)
    assert gradcheck(lambda x: webtorch.rearrange(x * x, "(a b) c -> c b a", a=2), (x,))
    assert gradcheck(lambda x: webtorch.reduce(x, "(a b) c -> c b", "prod", a=2), (x,))
    assert gradcheck(lambda x: webtorch.repeat(x * x, "a b -> b (a 3)"), (x,))
    assert gradcheck(lambda x: webtorch.pack([x, x[0] * x[1]], "* c")[0], (x,))


# ---- what is refused ------------------------------------------------------------------------------------------------

R, U = webtorch.rearrange, webtorch.unpack
REFUSED = {
    "invalid_pattern": [
        lambda x: R(x, "a b"), lambda x: R(x, "a b -> (a (b))"), lambda x: R(x, "(a b -> a b"), lambda x: R(x, "a) b -> a b"),
        lambda x: R(x, "a a -> a"), lambda x: R(x, "a 2b -> a"), lambda x: R(x, "_a b -> b _a"), lambda x: R(x, "a b. -> b. a"),
        lambda x: R(x, "(...) -> ..."), lambda x: R(x, "a b -> a b ..."), lambda x: R(x, "a 3 -> a"), lambda x: R(x, "a b -> a -> b"),
        lambda x: webtorch.reduce(x, "a b -> a", "summ"), lambda x: webtorch.pack([x], "a b"), lambda x: webtorch.pack([x], "* a *"),
        lambda x: webtorch.repeat(x, "a b -> a b 0"),
    ],
    "undefined_axis": [lambda x: R(x, "a b -> a"), lambda x: R(x, "a b -> a b c"), lambda x: R(x, "a b -> b a", c=2),
                       lambda x: webtorch.repeat(x, "a b -> a c", c=2)],
    "reduce_undefined_output": [lambda x: webtorch.reduce(x, "a b -> a c", "sum")],
    "repeat_missing_size": [lambda x: webtorch.repeat(x, "a b -> a b c")],
    "anonymous_in_output": [lambda x: R(x, "a b -> a b 2"), lambda x: webtorch.reduce(x, "a b -> a 2", "sum")],
    "ambiguous_decomposition": [lambda x: R(x, "a (b c) -> a b c"), lambda x: U(x, [(-1,), (-1,)], "a *")],
    "dimension_mismatch": [
        lambda x: R(x, "a -> a"), lambda x: R(x, "a b c ... -> ... c b a"), lambda x: R(x, "a (b c) -> a b c", b=2),
        lambda x: R(x, "a b -> b a", a=5), lambda x: R(x, "1 b -> b"), lambda x: R(x, "a b -> b a", a=-1),
        lambda x: webtorch.pack([x, x[:1]], "a *"), lambda x: webtorch.pack([x[0]], "a b *"), lambda x: U(x, [(2,)], "a *"),
        lambda x: U(x, [(3,)], "*"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("code", REFUSED)
def test_refused(code, device):
    x = webtorch.zeros(2, 3, device=device)
    for number, call in enumerate(REFUSED[code]):
        with pytest.raises(EinopsError) as caught:
            call(x)
        assert caught.value.code == f"einops_error_{code}", number
        assert str(caught.value).startswith(f"einops_error_{code}: ")


def test_the_mean_of_integers_is_refused():
    with pytest.raises(TypeError, match="convert with .float"):
        webtorch.reduce(webtorch.tensor([[1, 2]]), "a b -> a", "mean")


def test_hints():
    x = webtorch.zeros(2, 3)
    with pytest.raises(EinopsError, match="Did you mean 'height'"):
        R(x, "height w -> w height", heigth=2)
    with pytest.raises(EinopsError, match="[.] Did you mean .*'mean'"):
        webtorch.reduce(x, "a b -> a", "maen")
    with pytest.raises(EinopsError, match="Did you mean 'widht'"):
        R(x, "h width -> widht h")


def test_distance_and_similar_words():
    for first, second, distance in [
        ("", "", 0),
        ("a", "", 1),
        ("kitten", "sitting", 3),
        ("ab", "ba", 2),
        ("abc", "abc", 0),
    ]:
        assert webtorch.levenshteinDistance(first, second) == webtorch.levenshteinDistance(second, first) == distance
    assert webtorch.findSimilarPatterns("chanel", ["width", "channel", "chapel", "chanel"]) == ["channel", "chapel"]
    error = webtorch.buildEinopsError("einops_error_invalid_pattern", "reduce('a')", "no arrow.")
    assert isinstance(error, EinopsError) and str(error) == "einops_error_invalid_pattern: reduce('a'): no arrow."


def test_the_cache_of_patterns():
    webtorch.clearEinopsCache()
    x = webtorch.ones(2, 2)
    for _ in range(3):
        R(x, "a b -> b a"), webtorch.reduce(x, "a b -> b", "sum")
    assert webtorch.getEinopsCacheSize() == 2
    for number in range(1100):
        R(x, "a b -> b a" + " " * number)
    assert webtorch.getEinopsCacheSize() == 1024
    webtorch.clear_einops_cache()
    assert webtorch.einops_cache_size() == 0
