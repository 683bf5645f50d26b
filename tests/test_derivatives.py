"""The derivative of every row: on the cpu in float64 against central differences of the row's numpy, along random
directions with random weights of the results, first and second order; on webgpu against the cpu.
"""

import functools

import numpy as np
import pytest
from sampling import agree, outcomes, sample
from test_ops import ELEMENTWISE, EXPONENTS, SCALARS, arity, call, gpu_declines

import webtorch
from webtorch.autograd import gradcheck, gradgradcheck
from webtorch.autograd.gradcheck import GradcheckError
from webtorch.ops import TABLE
from webtorch.ops.elementwise import Elementwise
from webtorch.ops.matrix_history import History

# Tight: the differences of float64 are good to about nine digits.
TIGHT = {"atol": 1e-6, "rtol": 1e-5}


def floats(row) -> bool:
    """Rows that give floats for floats."""
    return row.rule(webtorch.float64, row.name)[1].is_floating_point


DIFFERENTIABLE = [key for key in ELEMENTWISE if TABLE[key].differentiable]
SHAPES = ((3, 4), (4,), (3, 1))  # so that gradients of broadcast inputs have to be summed


def leaves(key: str, device: str, dtype, shapes=SHAPES) -> list:
    """Inputs in the row's domain; conditions and integers require no gradient."""
    generator, row = np.random.default_rng(sum(map(ord, key))), TABLE[key]
    made = []
    for position in range(arity(key)):
        array = sample(generator, shapes[position], dtype, row.domain)
        if row.select_first and position == 0:
            made.append(webtorch.tensor(array > 0, device=device))
        else:
            made.append(webtorch.tensor(array, device=device, requires_grad=row.vjp[position] is not None))
    return made


def test_rows_without_a_derivative_are_not_recorded():
    for key in ELEMENTWISE:
        row = TABLE[key]
        if row.differentiable or key == "gcd":
            continue
        try:
            result = call(key, [webtorch.ones(3, requires_grad=True) for _ in range(3)])
        except TypeError:  # not for floats
            continue
        assert not result.requires_grad or key == "where", key
        assert not result.dtype.is_floating_point or key in ("heaviside",), f"{key} gives floats and has no derivative"


@pytest.mark.parametrize("key", DIFFERENTIABLE)
def test_elementwise_derivatives(key):
    inputs = leaves(key, "cpu", webtorch.float64)
    assert gradcheck(lambda *values: call(key, list(values)), inputs, **TIGHT)
    assert gradgradcheck(lambda *values: call(key, list(values)), inputs, **TIGHT)


@pytest.mark.parametrize("key", [key for key in DIFFERENTIABLE if arity(key) > 1])
def test_derivatives_with_a_number_for_an_input(key):
    for place in range(arity(key)):
        if TABLE[key].select_first and place == 0:
            continue
        inputs = leaves(key, "cpu", webtorch.float64)
        inputs[place] = 1.7
        if not any(isinstance(value, webtorch.Tensor) and value.requires_grad for value in inputs):
            continue
        assert gradcheck(lambda *values: call(key, list(values)), inputs, **TIGHT)
        assert gradgradcheck(lambda *values: call(key, list(values)), inputs, **TIGHT)


@functools.cache
def elementwise_gradients() -> dict:
    """(cpu in float64, webgpu in float32) of the first and second gradients of every row."""
    calls: dict = {"cpu": {}, "webgpu": {}}
    for device in calls:
        for key in DIFFERENTIABLE:
            for name, call_ in gradients(key, device):
                calls[device][key, name] = call_
    return {device: outcomes(those) for device, those in calls.items()}


def gradients(key: str, device: str) -> list:
    """Calls that give the gradients of a row, and the gradients of those along fixed weights."""
    generator = np.random.default_rng(1)
    dtype = webtorch.float64 if device == "cpu" else webtorch.float32

    def weights(shape):
        return webtorch.tensor(generator.uniform(0.5, 2, shape).astype(dtype.numpy), device=device)

    @functools.cache
    def both():
        inputs = leaves(key, device, dtype)
        wanted = [value for value in inputs if value.requires_grad]
        result = call(key, inputs)
        first = webtorch.autograd.grad(result, wanted, weights(result.shape).to(result.dtype), create_graph=True)
        total = sum((value * weights(value.shape)).sum() for value in first)
        second = (
            webtorch.autograd.grad(total, wanted, allow_unused=True) if total.requires_grad else [None] * len(wanted)
        )
        return first, [
            webtorch.zeros_like(value) if other is None else other for value, other in zip(first, second, strict=True)
        ]

    count = sum(rule is not None for rule in TABLE[key].vjp[: arity(key)])
    return [
        ((order, place), lambda order=order, place=place: both()[order][place])
        for order in range(2)
        for place in range(count)
    ]


@pytest.mark.gpu
def test_elementwise_derivatives_on_webgpu():
    results = elementwise_gradients()
    failures = []
    for (key, name), wanted in results["cpu"].items():
        got = results["webgpu"][key, name]
        if gpu_declines(key, "float32", got):
            continue
        if isinstance(wanted, np.ndarray):
            wanted = wanted.astype(np.float32)
        try:
            agree(
                got,
                wanted,
                f"order {name[0] + 1}, input {name[1]} of {key}",
                rtol=2e-4,
                atol=2e-5,
                scale=float(np.abs(wanted).max()),
            )
        except AssertionError as failure:
            failures.append(str(failure))
    assert not failures, "\n".join(failures)


# ---- the other kinds ------------------------------------------------------------------------------------------------


def numbers(*shape: int, domain: tuple[float, float] = (-2.0, 2.0), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(*domain, shape)


def with_zeros(count: int) -> np.ndarray:
    """Rows of a matrix with 0, 1 and more zeros: where the derivative of a product may not be had by division."""
    array = numbers(4, 5, domain=(0.5, 1.5), seed=count)
    for row in range(4):
        array[row, 1 : 1 + min(row, count)] = 0
    return array


W = webtorch
INDEX = np.array([[0, 2, 1], [1, 1, 0]])
# name: (function of the inputs, the inputs as float64 arrays)
PROGRAMS = {
    "sum": (lambda x: x.sum((0, 2)), [numbers(2, 3, 4)]),
    "sum keepdim": (lambda x: x.sum(1, keepdim=True), [numbers(2, 3, 4)]),
    "sum all": (lambda x: x.sum(), [numbers(2, 3)]),
    "prod": (lambda x: x.prod(1), [numbers(3, 4, domain=(0.5, 1.5))]),
    "prod all": (lambda x: x.prod(), [numbers(2, 3, domain=(0.5, 1.5))]),
    "prod with zeros": (lambda x: x.prod(1), [with_zeros(1)]),
    "amax": (lambda x: x.amax(1), [numbers(3, 4)]),
    "amax all": (lambda x: x.amax(), [numbers(3, 4)]),
    "amin": (lambda x: x.amin((0, 1), keepdim=True), [numbers(3, 4)]),
    "mean": (lambda x: x.mean(0), [numbers(3, 4)]),
    "var": (lambda x: x.var(1), [numbers(3, 4)]),
    "std": (lambda x: x.std(0, correction=0), [numbers(3, 4)]),
    "var_mean": (lambda x: W.var_mean(x, 1), [numbers(3, 4)]),
    "std_mean": (lambda x: W.std_mean(x, 1), [numbers(3, 4)]),
    "logsumexp": (lambda x: x.logsumexp((0, 1)), [numbers(3, 4)]),
    "norm": (lambda x: W.stack([x.norm(), x.norm(1), x.norm(3), x.norm(float("inf"))]), [numbers(3, 4)]),
    "max": (lambda x: x.max(1).values, [numbers(3, 4)]),
    "min": (lambda x: x.min(0).values, [numbers(3, 4)]),
    "aminmax": (lambda x: W.aminmax(x, dim=0), [numbers(3, 4)]),
    "nansum": (lambda x: x.nansum(0), [numbers(3, 4)]),
    "nanmean": (lambda x: x.nanmean(0), [numbers(3, 4)]),
    "softmax": (lambda x: x.softmax(1), [numbers(3, 4)]),
    "softmax of columns": (lambda x: x.softmax(0), [numbers(3, 4)]),
    "log_softmax": (lambda x: x.log_softmax(-1), [numbers(3, 4)]),
    "softmin": (lambda x: W.softmin(x, 0), [numbers(3, 4)]),
    "cumsum": (lambda x: x.cumsum(0), [numbers(3, 4)]),
    "cumprod": (lambda x: x.cumprod(1), [numbers(3, 4, domain=(0.5, 1.5))]),
    "cumprod with zeros": (lambda x: x.cumprod(1), [with_zeros(2)]),
    "permute": (lambda x: x.permute(2, 0, 1) * 2, [numbers(2, 3, 4)]),
    "transpose": (lambda x: x.transpose(0, 2) * 2, [numbers(2, 3, 4)]),
    "t": (lambda x: x.t() * 2, [numbers(2, 3)]),
    "expand": (
        lambda x: x.expand(2, 3, 4) * W.arange(24, device=x.device).reshape(2, 3, 4).to(x.dtype),
        [numbers(3, 1)],
    ),
    "narrow": (lambda x: x.narrow(1, 1, 2), [numbers(2, 4)]),
    "select": (lambda x: x.select(1, -2), [numbers(2, 4)]),
    "unsqueeze": (lambda x: x.unsqueeze(1).squeeze(1), [numbers(2, 4)]),
    "view": (lambda x: x.view(4, 2), [numbers(2, 4)]),
    "flip": (lambda x: x.flip(0, 1), [numbers(2, 4)]),
    "diagonal": (lambda x: x.diagonal(1), [numbers(3, 4)]),
    "diagonal of a batch": (lambda x: x.diagonal(-1, 2, 0), [numbers(3, 2, 4)]),
    "unfold": (lambda x: x.unfold(1, 3, 2), [numbers(2, 7)]),
    "unfold overlapping": (lambda x: x.unfold(0, 3, 1), [numbers(5, 2)]),
    "slice": (lambda x: x[::2, 1:-1:3], [numbers(5, 8)]),
    "reshape of a transpose": (lambda x: x.t().reshape(-1), [numbers(2, 3)]),
    "squeeze": (lambda x: x.squeeze(), [numbers(2, 1, 3)]),
    "flatten": (lambda x: x.flatten(1), [numbers(2, 2, 3)]),
    "movedim": (lambda x: x.movedim(0, -1), [numbers(2, 2, 3)]),
    "unbind": (lambda x: x.unbind(1), [numbers(2, 3)]),
    "split": (lambda x: x.split([1, 3], 1), [numbers(2, 4)]),
    "chunk": (lambda x: x.chunk(2, 1), [numbers(2, 5)]),
    "repeat": (lambda x: x.repeat(2, 1, 2), [numbers(2, 3)]),
    "tril": (lambda x: x.tril(), [numbers(3, 4)]),
    "triu": (lambda x: x.triu(1), [numbers(3, 4)]),
    "clone": (lambda x: x.clone(), [numbers(3)]),
    "contiguous": (lambda x: x.t().contiguous(), [numbers(3, 2)]),
    "to": (lambda x: x.to(W.float32 if x.dtype is W.float32 else W.float64) * 1, [numbers(3)]),
    "cat": (lambda x, y: W.cat([x, y, x], 1), [numbers(2, 3), numbers(2, 1, seed=1)]),
    "stack": (lambda x, y: W.stack([x, y], 1), [numbers(2, 3), numbers(2, 3, seed=1)]),
    "index": (lambda x: x[W.tensor(INDEX, device=x.device)], [numbers(3, 2)]),
    "index of several dims": (
        lambda x: x[:, W.tensor([0, 0, 2], device=x.device), W.tensor([1, 0, 1], device=x.device)],
        [numbers(2, 3, 2)],
    ),
    "mask": (lambda x: x[W.tensor([True, False, True], device=x.device)], [numbers(3, 2)]),
    "gather": (lambda x: x.gather(1, W.tensor(INDEX, device=x.device)), [numbers(2, 3)]),
    "index_select": (lambda x: x.index_select(1, W.tensor([2, 0, 2], device=x.device)), [numbers(2, 3)]),
    "scatter": (
        lambda x, y: x.scatter(1, W.tensor([[0, 2], [1, 0]], device=x.device), y),
        [numbers(2, 3), numbers(2, 2, seed=1)],
    ),
    "scatter_add": (
        lambda x, y: x.scatter_add(1, W.tensor(INDEX, device=x.device), y),
        [numbers(2, 3), numbers(2, 3, seed=1)],
    ),
    "index_add": (
        lambda x, y: x.index_add(0, W.tensor([1, 1], device=x.device), y, alpha=2),
        [numbers(2, 3), numbers(2, 3, seed=1)],
    ),
    "index_copy": (
        lambda x, y: x.index_copy(0, W.tensor([1], device=x.device), y),
        [numbers(2, 3), numbers(1, 3, seed=1)],
    ),
    "index_put": (
        lambda x, y: x.index_put((W.tensor([0, 2], device=x.device),), y),
        [numbers(3, 2), numbers(2, 2, seed=1)],
    ),
    "masked_fill": (lambda x: x.masked_fill(W.tensor([True, False, True], device=x.device), 3.0), [numbers(2, 3)]),
    "take_along_dim": (lambda x: W.take_along_dim(x, W.tensor([[1, 0]], device=x.device).t(), 1), [numbers(2, 3)]),
    "pad": (lambda x: TABLE["_pad"](x, (1, -1), (1, 2), (4, 5), 0.5), [numbers(2, 3)]),
    "pad cutting": (lambda x: TABLE["_pad"](x, (-1, 2), (1, 1), (2, 4), 0.5), [numbers(4, 3)]),
    "mm": (lambda x, y: x @ y, [numbers(2, 3), numbers(3, 4, seed=1)]),
    "mv": (lambda x, y: x @ y, [numbers(2, 3), numbers(3, seed=1)]),
    "vm": (lambda x, y: x @ y, [numbers(3), numbers(3, 2, seed=1)]),
    "dot": (lambda x, y: x @ y, [numbers(3), numbers(3, seed=1)]),
    "batches": (lambda x, y: x @ y, [numbers(2, 1, 2, 3), numbers(3, 3, 2, seed=1)]),
    "batch of vectors": (lambda x, y: x @ y, [numbers(3), numbers(2, 3, 2, seed=1)]),
    "transposed mm": (lambda x, y: x.t() @ y.flip(0), [numbers(3, 2), numbers(3, 2, seed=1)]),
    "square of a matrix": (lambda x: x @ x, [numbers(3, 3)]),
    "tensordot": (lambda x, y: W.tensordot(x, y, dims=([0, 2], [1, 0])), [numbers(2, 3, 4), numbers(4, 2, seed=1)]),
    "addmm": (
        lambda x, y, z: W.addmm(x, y, z, beta=0.5, alpha=2),
        [numbers(2), numbers(2, 3, seed=1), numbers(3, 2, seed=2)],
    ),
    "outer": (W.outer, [numbers(2), numbers(3, seed=1)]),
    "kron": (W.kron, [numbers(2, 1), numbers(1, 3, seed=1)]),
    "chain_matmul": (W.chain_matmul, [numbers(2, 3), numbers(3, 1, seed=1), numbers(1, 2, seed=2)]),
    "linear": (W.linear, [numbers(2, 3), numbers(4, 3, seed=1), numbers(4, seed=2)]),
    "glu": (lambda x: W.glu(x, 0), [numbers(4, 2)]),
    "prelu": (W.prelu, [numbers(2, 3), numbers(3, seed=1)]),
    "written slice": (lambda x, y: written(x, y), [numbers(3, 4), numbers(2, seed=1)]),
    "in place": (lambda x: (x * 1).mul_(x).add_(1).exp_(), [numbers(3)]),
    "attention": (lambda x, y: (x @ y.t()).softmax(-1) @ y, [numbers(3, 4), numbers(2, 4, seed=1)]),
    "normalised": (
        lambda x: (x - x.mean(-1, keepdim=True)) * (x.var(-1, keepdim=True) + 1e-5).rsqrt(),
        [numbers(3, 4)],
    ),
    "layer_norm": (
        lambda x, y: W.nn.functional.layer_norm(x, (2, 3), y) * 2,
        [numbers(4, 2, 3), numbers(2, 3, seed=1)],
    ),
    "rms_norm": (lambda x: W.nn.functional.rms_norm(x, (5,), eps=0.1), [numbers(3, 5)]),
}


def written(x, y):
    """A slice of a copy is overwritten and another one added to itself."""
    copy = x * 1
    copy[0, 1:3] = y
    copy[1:] += copy[:-1]
    return copy


def run(name: str, device: str, dtype) -> tuple:
    function, arrays = PROGRAMS[name]
    inputs = [webtorch.tensor(array.astype(dtype.numpy), device=device, requires_grad=True) for array in arrays]
    return function, inputs


@pytest.mark.parametrize("name", PROGRAMS)
def test_derivatives_of_other_kinds(name):
    function, inputs = run(name, "cpu", webtorch.float64)
    assert gradcheck(function, inputs, **TIGHT)
    if name != "cumprod with zeros" and name != "prod with zeros":  # their rules divide around the zeros, once
        assert gradgradcheck(function, inputs, **TIGHT)


def program_gradients(name: str, device: str, dtype) -> list:
    """First gradients, and the gradients of those along fixed weights, as one list of tensors."""
    function, inputs = run(name, device, dtype)
    generator = np.random.default_rng(1)

    def weights(value):
        return webtorch.tensor(generator.uniform(0.5, 2, tuple(value.shape)).astype(dtype.numpy), device=device)

    results = function(*inputs)
    results = list(results) if isinstance(results, (tuple, list)) else [results]
    first = webtorch.autograd.grad(results, inputs, [weights(result) for result in results], create_graph=True)
    total = sum((value * weights(value)).sum() for value in first)
    second = webtorch.autograd.grad(total, inputs, allow_unused=True) if total.requires_grad else ()
    return [*results, *first, *(value for value in second if value is not None)]


@pytest.mark.gpu
@pytest.mark.parametrize("name", PROGRAMS)
def test_derivatives_of_other_kinds_on_webgpu(name):
    wanted = program_gradients(name, "cpu", webtorch.float64)
    got = outcomes(
        dict(
            enumerate(
                functools.partial(lambda value: value, value)
                for value in program_gradients(name, "webgpu", webtorch.float32)
            )
        )
    )
    assert len(got) == len(wanted)
    for number, value in enumerate(wanted):
        expected = value.detach().numpy().astype(np.float32)
        agree(
            got[number],
            expected,
            f"{name}, result {number}",
            rtol=2e-4,
            atol=2e-5,
            scale=float(np.abs(expected).max(initial=0.0)),
        )


def test_every_differentiable_row_is_checked():
    """A new kind of differentiable row has to be added above."""
    covered = {
        "_to", "_clone", "_contract", "sum", "prod", "amax", "amin", "permute", "transpose", "t", "expand", "narrow", "_slice", "select",
        "unsqueeze", "squeeze", "view", "flip", "diagonal", "unfold", "_take", "_put", "_pad", "softmax", "log_softmax", "cumsum",
        "cumprod", "_standardize", "_as_strided", "_view_of_base", "_strided_write",
        "_convolution", "_linear", "_pick", "_pick_log", "_window_maximum", "_window_sum",  # in test_nn, once webtorch.nn is imported
        "_attention",  # in test_attention
        "_combine_at",  # in test_counting
        "_hide", "_show", "_spread",  # in test_func: they are vmap
        "_real", "_imag", "_view_as_real", "_view_as_complex",  # in test_complex
        "_fft", "_rfft", "_irfft",  # in test_fft
    }  # fmt: skip
    # Rows of linear algebra are checked in test_linalg.
    others = {key for key, row in TABLE.items() if row.differentiable and not isinstance(row, (Elementwise, History))}
    assert others <= covered, others - covered
    assert not set(EXPONENTS) - set(TABLE) and not set(SCALARS) - set(TABLE)


# ---- the checker itself ---------------------------------------------------------------------------------------------


def broken(rule):
    """A function like the square, with another derivative rule."""

    class Broken(webtorch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return rule(g, x)

    return Broken.apply


def test_the_checker_finds_wrong_derivatives():
    x = webtorch.tensor(numbers(3, 4), requires_grad=True)
    assert gradcheck(broken(lambda g, x: 2 * g * x), x)
    for rule in (lambda g, x: -2 * g * x, lambda g, x: 2 * x, lambda g, x: 2.01 * g * x, lambda g, x: g * x.abs() * 2):
        with pytest.raises(GradcheckError):
            gradcheck(broken(rule), x)
        assert not gradcheck(broken(rule), x, raise_exception=False)


def test_the_checker_finds_wrong_second_derivatives():
    x = webtorch.tensor(numbers(3, 4), requires_grad=True)
    assert gradgradcheck(broken(lambda g, x: 2 * g * x), x)
    for rule in (lambda g, x: 2 * g * x.detach(), lambda g, x: 2 * g.detach() * x, lambda g, x: (2 * g * x).detach()):
        assert gradcheck(broken(rule), x)  # right to first order
        with pytest.raises(GradcheckError):
            gradgradcheck(broken(rule), x)


def test_the_checker_weighs_results():
    """With ones as weights, a softmax whose rule forgets the coupling of a row would pass: both sums are zero."""

    class Softmax(webtorch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.softmax(-1)

        @staticmethod
        def backward(ctx, g):
            return g * 0

    with pytest.raises(GradcheckError):
        gradcheck(Softmax.apply, webtorch.tensor(numbers(3, 4), requires_grad=True))


def test_the_checker_looks_at_all_outputs_that_require_gradients():
    x = webtorch.tensor(numbers(3), requires_grad=True)
    assert gradcheck(lambda x: (x.detach(), x.int(), x * x), x)
    with pytest.raises(GradcheckError):
        gradcheck(lambda x: (x.detach(), x * x, broken(lambda g, x: g)(x)), x)
    with pytest.raises(ValueError, match="requires? grad"):
        gradcheck(lambda x: x, webtorch.ones(2, dtype=webtorch.float64))
