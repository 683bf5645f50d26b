"""One call of each function of the torch.js index, on any device and in any dtype: what coverage is measured by.

A call gets a `Maker`: `t(3, 4)` is a tensor of that shape in the dtype and on the device that are being looked at, `t.i(...)`
integers, `t.b(...)` bools. The numbers are the same on every device.
"""

import contextlib
import csv
import io
import os
import pathlib
import tempfile

import numpy as np

import webtorch
import webtorch as W
from webtorch.ops.elementwise import Elementwise

with pathlib.Path(__file__).with_name("torchjs_names.csv").open(encoding="utf-8", newline="") as _file:
    INDEX = list(csv.DictReader(_file))

DTYPES = [each.name for each in webtorch.dtypes.ALL]


class Maker:
    """Makes the arguments of a call, and remembers whether the dtype played a part."""

    def __init__(self, device: str, dtype: str = "float32", requires_grad: bool = False) -> None:
        self.device = device
        self.name = dtype
        self.requires_grad = requires_grad
        self.used = False
        self.made: list = []

    @property
    def dtype(self):
        self.used = True
        return webtorch.getDType(self.name)

    def array(self, *shape: int, start: int = 0):
        numbers = (np.arange(start, start + int(np.prod(shape))) * 7 % 11 + 1).reshape(shape)
        return numbers / 8 if self.dtype.is_floating_point or self.dtype.is_complex else numbers % 5 + 1

    def __call__(self, *shape: int, start: int = 0):
        made = webtorch.tensor(self.array(*shape, start=start), device="cpu").to(self.dtype)
        if self.name == "bool":
            made = webtorch.tensor(self.array(*shape, start=start) % 2 == 0, device="cpu")
        made = made.to(self.device)
        if self.requires_grad:
            made.requires_grad_()
        self.made.append(made)
        return made

    def i(self, *values):
        return webtorch.tensor(list(values), dtype=webtorch.int64, device=self.device)

    def b(self, *values):
        return webtorch.tensor(list(values), dtype=webtorch.bool, device=self.device)

    def sorted(self, count: int):
        self.used = True
        return webtorch.arange(count, device=self.device).to(self.dtype)

    def square(self):
        """A matrix that can be inverted."""
        return self(3, 3) + webtorch.eye(3, device=self.device).to(self.dtype) * 4


def each(names, call):
    """The same call of several functions."""

    def of(name):
        return lambda t: call(t, name)

    return {name: of(name) for name in names.split()}


def inplace(t, name, *args):
    x = t(3, 4)
    return getattr(W, name)(x.clone() if t.requires_grad else x, *args)


def quiet(function, *args):
    """A setter, given what its getter says: nothing changes."""
    function(*args)
    return True


class Doubled(W.autograd.Function):
    @staticmethod
    def forward(ctx, x, saved):
        W.autograd.save_for_backward(ctx, x) if saved == "save" else None
        flag = W.ones_like(x)
        W.autograd.mark_non_differentiable(ctx, flag) if saved == "plain" else None
        W.autograd.set_materialize_grads(ctx, False) if saved == "materialize" else None
        if saved == "dirty":
            x.mul_(2)
            W.autograd.mark_dirty(ctx, x)
            return x, flag
        return x * 2, flag

    @staticmethod
    def backward(ctx, g, flag):
        if ctx.saved_tensors:
            return g * 2 + 0 * ctx.saved_tensors[0], None
        return g * 2, None


def function_with(t, what):
    x = W.ones(2, device=t.device, requires_grad=True)
    y, flag = Doubled.apply(x.clone(), what)
    (g,) = W.autograd.grad(y.sum(), x)
    return y, g, flag.requires_grad


def leaf(t):
    return W.tensor([1.0, 2.0], device=t.device, requires_grad=True)


def saved_on_cpu(t):
    x = leaf(t)
    return W.autograd.grad(W.autograd.save_on_cpu(lambda: cube_sum(x)), x)


def hooked(t):
    x = leaf(t)
    with W.autograd.saved_tensors_hooks(lambda value: value, lambda value: value):
        y = cube_sum(x)
    return W.autograd.grad(y, x)


def checked(function, t):
    return function(cube_sum, leaf(t), eps=1e-2, atol=1e-1, rtol=1e-1, raise_exception=False) in (True, False)


def short_time(t):
    return W.stft(t(32), 8, window=W.hann_window(8, device=t.device), return_complex=True)


def cube_sum(x):
    return (x * x * x).sum()


def profiled(t, use):
    x = t(3, 4)
    with W.autograd.profiler.profile() as profiler:
        (x + 1).tolist()
    return use(profiler)


def traced(profiler):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "trace.json")
        W.autograd.export_chrome_trace(profiler, path)
        return os.path.getsize(path) > 2


def started(t):
    x = t(3, 4)  # may not exist in this dtype: nothing is to be left running then
    profiler = W.autograd.profiler.profile()
    W.autograd.start(profiler)
    (x + 1).tolist()
    W.autograd.stop(profiler)
    return len(W.autograd.key_averages(profiler)) > 0


def packed(t):
    tensors, shapes = W.pack([t(2, 3, 4), t(2, 5)], "a *")
    return [tensors, *W.unpack(tensors, shapes, "a *")]


def awaited(coroutine):
    import asyncio

    return asyncio.run(coroutine)


def applied(t):
    return W.autograd.apply(Doubled, t(2), "no")[0]


def default_kept(t):
    return quiet(W.set_default_device, None)


CALLS = {
    # autograd
    "allow_mutation_on_saved_tensors": lambda t: W.autograd.allow_mutation_on_saved_tensors() is not None,
    "apply": applied,
    "backward": lambda t: W.autograd.backward(cube_sum(x := leaf(t))) or x.grad,
    "detect_anomaly": lambda t: inside(W.autograd.detect_anomaly(), lambda: W.autograd.grad(cube_sum(x := leaf(t)), x)),
    "disable_saved_tensors_hooks": lambda t: inside(W.autograd.disable_saved_tensors_hooks("no"), lambda: cube_sum(leaf(t))),
    "emit_nvtx": lambda t: inside(W.autograd.profiler.emit_nvtx(), lambda: t(2) + 1),
    "enable_grad": lambda t: W.no_grad(lambda: W.autograd.enable_grad(lambda: cube_sum(leaf(t)).requires_grad)),
    "executeBackward": lambda t: W.autograd.executeBackward(cube_sum(x := leaf(t))) or x.grad,
    "export_chrome_trace": lambda t: profiled(t, traced),
    "grad": lambda t: W.autograd.grad(cube_sum(x := leaf(t)), x),
    "grad_mode": lambda t: W.autograd.grad_mode(False, lambda: cube_sum(leaf(t)).requires_grad),
    "gradcheck": lambda t: checked(W.autograd.gradcheck, t),
    "gradgradcheck": lambda t: checked(W.autograd.gradgradcheck, t),
    "hessian": lambda t: W.autograd.hessian(cube_sum, leaf(t)),
    "hvp": lambda t: W.autograd.hvp(cube_sum, leaf(t), W.ones(2, device=t.device)),
    "inference_mode": lambda t: W.autograd.inference_mode(lambda: t(2) + 1).is_inference(),
    "is_anomaly_detection_enabled": lambda t: W.autograd.is_anomaly_detection_enabled(),
    "is_grad_enabled": lambda t: W.autograd.is_grad_enabled(),
    "is_inference_mode_enabled": lambda t: W.is_inference_mode_enabled(),
    "jacobian": lambda t: W.autograd.jacobian(lambda x: x * x, leaf(t)),
    "jvp": lambda t: W.autograd.jvp(cube_sum, leaf(t), W.ones(2, device=t.device)),
    "key_averages": lambda t: profiled(t, lambda profiler: len(W.autograd.key_averages(profiler)) > 0),
    "mark_dirty": lambda t: function_with(t, "dirty"),
    "mark_non_differentiable": lambda t: function_with(t, "plain"),
    "no_grad": lambda t: W.autograd.no_grad(lambda: cube_sum(leaf(t)).requires_grad),
    "once_differentiable": lambda t: W.autograd.once_differentiable(lambda ctx, g: g * 2)(None, t(2)),
    "profile": lambda t: profiled(t, lambda profiler: len(profiler.key_averages()) > 0),
    "save_for_backward": lambda t: function_with(t, "save"),
    "save_on_cpu": saved_on_cpu,
    "saved_tensors_hooks": hooked,
    "set_detect_anomaly": lambda t: quiet(W.autograd.set_detect_anomaly, False),
    "set_grad_enabled": lambda t: quiet(W.autograd.set_grad_enabled, True),
    "set_materialize_grads": lambda t: function_with(t, "materialize"),
    "set_multithreading_enabled": lambda t: quiet(W.autograd.set_multithreading_enabled, True),
    "start": started,
    "stop": started,
    "table": lambda t: profiled(t, lambda profiler: "Name" in W.autograd.table(profiler)),
    "vhp": lambda t: W.autograd.vhp(cube_sum, leaf(t), W.ones(2, device=t.device)),
    "vjp": lambda t: W.autograd.vjp(cube_sum, leaf(t)),
    # elementwise of several inputs, and with numbers
    "addcdiv": lambda t: W.addcdiv(t(3, 4), t(4), t(3, 1), value=2),
    "addcmul": lambda t: W.addcmul(t(3, 4), t(4), t(3, 1), value=2),
    "clamp": lambda t: W.clamp(t(3, 4), 1, 2),
    "lerp": lambda t: W.lerp(t(3, 4), t(4), t(3, 1)),
    "where": lambda t: W.where(t(3, 4) > 1, t(4), t(3, 1)),
    "ldexp": lambda t: W.ldexp(t(3, 4), t.i(1, 2, 3, 0)),
    "threshold": lambda t: W.threshold(t(3, 4), 1, 2),
    "bitwise_left_shift": lambda t: W.bitwise_left_shift(t(3, 4), 2),
    "bitwise_right_shift": lambda t: W.bitwise_right_shift(t(3, 4), 1),
    "frexp": lambda t: W.frexp(t(3, 4)),
    "isclose": lambda t: W.isclose(t(3, 4), t(4)),
    "isin": lambda t: W.isin(t(3, 4), t(2)),
    "positive": lambda t: W.positive(t(3, 4)),
    "real": lambda t: W.real(t(3, 4)),
    "imag": lambda t: W.imag(W.complex(t(3), t(3))) if not t.dtype.is_complex else W.imag(t(3)),
    "conj": lambda t: W.conj(t(3, 4)),
    "conj_physical": lambda t: W.conj_physical(t(3, 4)),
    "view_as_real": lambda t: W.view_as_real(W.complex(t(3), t(3))),
    "view_as_complex": lambda t: W.view_as_complex(t(3, 2)).abs(),
    "prelu": lambda t: W.prelu(t(3, 4) - 1, t(1)),
    "glu": lambda t: W.glu(t(3, 4)),
    "dropout": lambda t: W.dropout(t(3, 4), 0.0, True),
    "rrelu": lambda t: W.rrelu(t(3, 4)),
    **each("elu_ hardtanh_ leaky_relu_ relu_ rrelu_", inplace),
    "threshold_": lambda t: inplace(t, "threshold_", 1, 2),
    "softmin": lambda t: W.softmin(t(3, 4), 1),
    "softmax": lambda t: W.softmax(t(3, 4), 1),
    "log_softmax": lambda t: W.log_softmax(t(3, 4), 1),
    "linear": lambda t: W.linear(t(3, 4), t(5, 4), t(5)),
    # products
    "addbmm": lambda t: W.addbmm(t(3, 5), t(2, 3, 4), t(2, 4, 5)),
    "addmm": lambda t: W.addmm(t(3, 5), t(3, 4), t(4, 5)),
    "addmv": lambda t: W.addmv(t(3), t(3, 4), t(4)),
    "addr": lambda t: W.addr(t(3, 4), t(3), t(4)),
    "baddbmm": lambda t: W.baddbmm(t(2, 3, 5), t(2, 3, 4), t(2, 4, 5)),
    "bmm": lambda t: W.bmm(t(2, 3, 4), t(2, 4, 5)),
    "chain_matmul": lambda t: W.chain_matmul(t(2, 3), t(3, 4), t(4, 2)),
    "dot": lambda t: W.dot(t(5), t(5, start=3)),
    "einsum": lambda t: W.einsum("ij,jk->ik", t(3, 4), t(4, 5)),
    "inverse": lambda t: W.inverse(t.square()),
    "kron": lambda t: W.kron(t(2, 2), t(2, 3)),
    "matmul": lambda t: W.matmul(t(3, 4), t(4, 5)),
    "mm": lambda t: W.mm(t(3, 4), t(4, 5)),
    "mv": lambda t: W.mv(t(3, 4), t(4)),
    "outer": lambda t: W.outer(t(3), t(4)),
    "tensordot": lambda t: W.tensordot(t(3, 4), t(4, 5), 1),
    "vdot": lambda t: W.vdot(t(5), t(5)),
    "cdist": lambda t: W.cdist(t(3, 4), t(2, 4, start=5)),
    "corrcoef": lambda t: W.corrcoef(t(3, 4)),
    "cov": lambda t: W.cov(t(3, 4)),
    "dist": lambda t: W.dist(t(4), t(4, start=2)),
    "norm": lambda t: W.norm(t(3, 4)),
    # reductions and scans
    **each(
        """all any amax amin argmax argmin count_nonzero cummax cummin cumprod cumsum logcumsumexp logsumexp max mean
        median min mode nanmean nanmedian nansum prod std std_mean sum var_ var_mean""",
        lambda t, name: getattr(W, name)(t(3, 4), 1),
    ),
    "cumulative_trapezoid": lambda t: W.cumulative_trapezoid(t(3, 4)),
    "trapezoid": lambda t: W.trapezoid(t(3, 4)),
    "aminmax": lambda t: W.aminmax(t(3, 4), dim=1),
    "quantile": lambda t: W.quantile(t(3, 4), 0.3, dim=1),
    "nanquantile": lambda t: W.nanquantile(t(3, 4), 0.3, dim=1),
    "bincount": lambda t: W.bincount(t(6)),
    "histc": lambda t: W.histc(t(12), 4),
    "histogram": lambda t: W.histogram(t(12).cpu(), 4),
    "kthvalue": lambda t: W.kthvalue(t(3, 4), 2),
    "topk": lambda t: W.topk(t(3, 4), 2),
    "sort": lambda t: W.sort(t(3, 4), stable=True),
    "msort": lambda t: W.msort(t(3, 4)),
    "argsort": lambda t: W.argsort(t(3, 4), stable=True),
    "searchsorted": lambda t: W.searchsorted(t.sorted(6), t(4)),
    "bucketize": lambda t: W.bucketize(t(4), t.sorted(6)),
    "unique": lambda t: W.unique(t(12)),
    "unique_consecutive": lambda t: W.unique_consecutive(t(12)),
    "diff": lambda t: W.diff(t(3, 4)),
    "trace": lambda t: W.trace(t(3, 4)),
    "equal": lambda t: W.equal(t(3, 4), t(3, 4)),
    "allclose": lambda t: W.allclose(t(3, 4), t(3, 4)),
    # shapes
    **each(
        """adjoint atleast_1d atleast_2d atleast_3d clone contiguous detach diag diag_embed diagflat flatten fliplr
        flipud ravel t tril triu argwhere nonzero numel is_tensor is_complex is_floating_point rot90 squeeze""",
        lambda t, name: getattr(W, name)(t(3, 4)),
    ),
    "as_strided": lambda t: W.as_strided(t(3, 4), (2, 2), (1, 2)),
    "as_tensor": lambda t: W.as_tensor(t(3, 4)),
    "block_diag": lambda t: W.block_diag(t(2, 2), t(1, 3)),
    "broadcast_tensors": lambda t: W.broadcast_tensors(t(3, 1), t(4)),
    "broadcast_to": lambda t: W.broadcast_to(t(4), (3, 4)),
    "cartesian_prod": lambda t: W.cartesian_prod(t(2), t(3)),
    "cat": lambda t: W.cat([t(3, 4), t(2, 4)]),
    "chunk": lambda t: W.chunk(t(5, 4), 2),
    "column_stack": lambda t: W.column_stack([t(3), t(3, 2)]),
    "combinations": lambda t: W.combinations(t(4), 2),
    "diagonal_scatter": lambda t: W.diagonal_scatter(t(3, 3), t(3)),
    "dsplit": lambda t: W.dsplit(t(2, 2, 4), 2),
    "dstack": lambda t: W.dstack([t(2, 3), t(2, 3)]),
    "expand": lambda t: W.expand(t(4), (3, 4)),
    "expand_as": lambda t: W.expand_as(t(4), t(3, 4)),
    "flip": lambda t: W.flip(t(3, 4), (0,)),
    "hsplit": lambda t: W.hsplit(t(3, 4), 2),
    "hstack": lambda t: W.hstack([t(3, 4), t(3, 1)]),
    "meshgrid": lambda t: W.meshgrid(t(2), t(3), indexing="ij"),
    "movedim": lambda t: W.movedim(t(2, 3, 4), 0, 2),
    "narrow": lambda t: W.narrow(t(3, 4), 1, 1, 2),
    "narrow_copy": lambda t: W.narrow_copy(t(3, 4), 1, 1, 2),
    "pack": packed,
    "unpack": packed,
    "permute": lambda t: W.permute(t(2, 3, 4), (2, 0, 1)),
    "rearrange": lambda t: W.rearrange(t(3, 4), "a (b c) -> c a b", b=2),
    "reduce": lambda t: W.reduce(t(3, 4), "a b -> a", "max"),
    "repeat": lambda t: W.repeat(t(3), "a -> a b", b=2),
    "repeat_interleave": lambda t: W.repeat_interleave(t(3), 2),
    "reshape": lambda t: W.reshape(t(3, 4), (2, 6)),
    "roll": lambda t: W.roll(t(3, 4), 1, 0),
    "select": lambda t: W.select(t(3, 4), 1, 2),
    "select_scatter": lambda t: W.select_scatter(t(3, 4), t(4), 0, 1),
    "slice_scatter": lambda t: W.slice_scatter(t(3, 4), t(2, 4), 0, 0, 2),
    "split": lambda t: W.split(t(5, 4), 2),
    "stack": lambda t: W.stack([t(3), t(3)]),
    "swapaxes": lambda t: W.swapaxes(t(3, 4), 0, 1),
    "tensor_split": lambda t: W.tensor_split(t(5), 2),
    "tile": lambda t: W.tile(t(3), (2, 2)),
    "transpose": lambda t: W.transpose(t(3, 4), 0, 1),
    "unbind": lambda t: W.unbind(t(3, 4)),
    "unflatten": lambda t: W.unflatten(t(3, 4), 1, (2, 2)),
    "unsqueeze": lambda t: W.unsqueeze(t(3, 4), 1),
    "view": lambda t: W.view(t(3, 4), (4, 3)),
    "vsplit": lambda t: W.vsplit(t(4, 3), 2),
    "vstack": lambda t: W.vstack([t(3), t(2, 3)]),
    "vmap": lambda t: W.vmap(lambda x: x * x)(t(3, 4)),
    # indexing
    "gather": lambda t: W.gather(t(3, 4), 1, t.i([0, 1], [2, 3], [1, 0])),
    "index_add": lambda t: W.index_add(t(3, 4), 0, t.i(0, 2), t(2, 4)),
    "index_copy": lambda t: W.index_copy(t(3, 4), 0, t.i(0, 2), t(2, 4)),
    "index_fill": lambda t: W.index_fill(t(3, 4), 0, t.i(0, 2), 1),
    "index_put": lambda t: W.index_put(t(3, 4), (t.i(0, 2), t.i(1, 1)), t(2)),
    "index_reduce": lambda t: W.index_reduce(t(3, 4), 0, t.i(0, 2), t(2, 4), "amax"),
    "index_select": lambda t: W.index_select(t(3, 4), 0, t.i(0, 2)),
    "masked_fill": lambda t: W.masked_fill(t(3, 4), t(3, 4) > 1, 0),
    "masked_select": lambda t: W.masked_select(t(4), t.b(True, False, True, True)),
    "masked_select_async": lambda t: awaited(W.masked_select_async(t(4), t.b(True, False, True, True))),
    "scatter": lambda t: W.scatter(t(3, 4), 1, t.i([0], [2], [1]), t(3, 1)),
    "scatter_add": lambda t: W.scatter_add(t(3, 4), 1, t.i([0], [2], [1]), t(3, 1)),
    "scatter_add_": lambda t: W.scatter_add_(t(3, 4).clone(), 1, t.i([0], [2], [1]), t(3, 1)),
    "scatter_reduce": lambda t: W.scatter_reduce(t(3, 4), 1, t.i([0], [2], [1]), t(3, 1), "amax"),
    "scatter_reduce_": lambda t: W.Tensor.scatter_reduce_(t(3, 4).clone(), 1, t.i([0], [2], [1]), t(3, 1), "amax"),
    "take": lambda t: W.take(t(3, 4), t.i(0, 5, -1)),
    "take_along_dim": lambda t: W.take_along_dim(t(3, 4), t.i([0], [2], [1]), 1),
    "tril_indices": lambda t: W.tril_indices(3, 3, device=t.device),
    "triu_indices": lambda t: W.triu_indices(3, 3, device=t.device),
    "unravel_index": lambda t: W.unravel_index(t.i(5, 7), (3, 4)),
    # making tensors
    "arange": lambda t: W.arange(5, dtype=t.dtype, device=t.device),
    "empty": lambda t: W.empty(3, 4, dtype=t.dtype, device=t.device).shape,
    "empty_like": lambda t: W.empty_like(t(3, 4)).shape,
    "eye": lambda t: W.eye(3, dtype=t.dtype, device=t.device),
    "frombuffer": lambda t: W.frombuffer(bytearray(b"\x01\x00\x00\x00\x02\x00\x00\x00"), dtype=webtorch.int32),
    "full": lambda t: W.full((3, 4), 1, dtype=t.dtype, device=t.device),
    "full_like": lambda t: W.full_like(t(3, 4), 1),
    "linspace": lambda t: W.linspace(0, 1, 5, dtype=t.dtype, device=t.device),
    "logspace": lambda t: W.logspace(0, 1, 5, dtype=t.dtype, device=t.device),
    "ones": lambda t: W.ones(3, 4, dtype=t.dtype, device=t.device),
    "ones_like": lambda t: W.ones_like(t(3, 4)),
    "tensor": lambda t: W.tensor([0, 1], dtype=t.dtype, device=t.device),
    "zeros": lambda t: W.zeros(3, 4, dtype=t.dtype, device=t.device),
    "zeros_like": lambda t: W.zeros_like(t(3, 4)),
    **each(
        "bartlett_window blackman_window hamming_window hann_window kaiser_window",
        lambda t, name: getattr(W, name)(6, dtype=t.dtype, device=t.device),
    ),
    "bernoulli": lambda t: W.bernoulli(t(3, 4).clamp(0, 1)),
    "multinomial": lambda t: W.multinomial(t(3, 4), 2),
    "multinomial_async": lambda t: awaited(W.multinomial_async(t(3, 4), 2)),
    "normal": lambda t: W.normal(t(3, 4), 1.0),
    "poisson": lambda t: W.poisson(t(3, 4)),
    "rand": lambda t: W.rand(3, 4, dtype=t.dtype, device=t.device),
    "rand_like": lambda t: W.rand_like(t(3, 4)),
    "randint": lambda t: W.randint(0, 2, (3, 4), dtype=t.dtype, device=t.device),
    "randint_like": lambda t: W.randint_like(t(3, 4), 0, 2),
    "randn": lambda t: W.randn(3, 4, dtype=t.dtype, device=t.device),
    "randn_like": lambda t: W.randn_like(t(3, 4)),
    "randperm": lambda t: W.randperm(5, dtype=t.dtype, device=t.device),
    # transforms
    "fft": lambda t: W.fft(t(8)),
    "ifft": lambda t: W.ifft(W.fft(t(8))),
    "rfft": lambda t: W.rfft(t(8)),
    "irfft": lambda t: W.irfft(W.rfft(t(8))),
    "stft": short_time,
    "istft": lambda t: W.istft(short_time(t), 8, window=W.hann_window(8, device=t.device)),
    # dtypes, devices, settings: what they say is the same whatever tensors there are
    "applyOut": lambda t: W.applyOut(t(3, 4) + 1, t(3, 4).detach().clone()),
    "are_deterministic_algorithms_enabled": lambda t: W.are_deterministic_algorithms_enabled(),
    "autocast_decrement_nesting": lambda t: (W.autocast_increment_nesting(), W.autocast_decrement_nesting()),
    "autocast_increment_nesting": lambda t: (W.autocast_increment_nesting(), W.autocast_decrement_nesting()),
    "broadcast_shapes": lambda t: W.broadcast_shapes((3, 1), (4,)),
    "broadcastShapes": lambda t: W.broadcastShapes((3, 1), (4,)),
    "canBroadcastTo": lambda t: W.canBroadcastTo((4,), (3, 4)),
    "needsBroadcast": lambda t: W.needsBroadcast((4,), (3, 4)),
    "buildEinopsError": lambda t: len(str(W.buildEinopsError("invalid_pattern", "a -> b", "no"))) > 0,
    "buildErrorMessage": lambda t: W.buildErrorMessage("split_error_dim_out_of_range", "no"),
    "clear_autocast_cache": lambda t: W.clear_autocast_cache(),
    "clearEinopsCache": lambda t: W.clearEinopsCache(),
    "clearEinsumCache": lambda t: W.clearEinsumCache(),
    "compiled_with_cxx11_abi": lambda t: W.compiled_with_cxx11_abi() in (True, False),
    "createCumExtremeResult": lambda t: W.createCumExtremeResult(t(3), t.i(0, 1, 2)),
    "createTorch": lambda t: hasattr(W.createTorch(), "add"),
    "empty_cache": lambda t: W.empty_cache(),
    "findSimilarPatterns": lambda t: W.findSimilarPatterns("a b -> b a", ["a b -> b a", "c -> c"]),
    "formatEquationError": lambda t: W.formatEquationError("ij,jk", "no", 1),
    "formatShape": lambda t: W.formatShape((3, 4)),
    "get_autocast_cpu_dtype": lambda t: W.get_autocast_cpu_dtype(),
    "get_autocast_gpu_dtype": lambda t: W.get_autocast_gpu_dtype(),
    "get_autocast_ipu_dtype": lambda t: W.get_autocast_ipu_dtype(),
    "get_autocast_xla_dtype": lambda t: W.get_autocast_xla_dtype(),
    "get_default_device": lambda t: W.get_default_device() is not None,
    "get_default_dtype": lambda t: W.get_default_dtype(),
    "get_deterministic_debug_mode": lambda t: W.get_deterministic_debug_mode(),
    "get_device_module": lambda t: W.get_device_module(t.device) is not None,
    "get_file_path": lambda t: isinstance(W.get_file_path("webtorch", "__init__.py"), str),
    "get_float32_matmul_precision": lambda t: W.get_float32_matmul_precision(),
    "get_num_interop_threads": lambda t: W.get_num_interop_threads() > 0,
    "get_num_threads": lambda t: W.get_num_threads() > 0,
    "get_printoptions": lambda t: sorted(W.get_printoptions()),
    "get_real_dtype": lambda t: W.get_real_dtype(t.dtype),
    "get_rng_state": lambda t: W.get_rng_state().numel(),
    "getEinopsCacheSize": lambda t: W.getEinopsCacheSize() >= 0,
    "getEinsumCacheSize": lambda t: W.getEinsumCacheSize() >= 0,
    "is_anomaly_check_nan_enabled": lambda t: W.is_anomaly_check_nan_enabled(),
    "is_anomaly_enabled": lambda t: W.is_anomaly_enabled(),
    "is_autocast_cache_enabled": lambda t: W.is_autocast_cache_enabled(),
    "is_autocast_cpu_enabled": lambda t: W.is_autocast_cpu_enabled(),
    "is_autocast_ipu_enabled": lambda t: W.is_autocast_ipu_enabled(),
    "is_autocast_xla_enabled": lambda t: W.is_autocast_xla_enabled(),
    "is_complex_dtype": lambda t: W.is_complex_dtype(t.dtype),
    "is_cpu_only_mode": lambda t: W.is_cpu_only_mode() in (True, False),
    "is_deterministic_algorithms_warn_only_enabled": lambda t: W.is_deterministic_algorithms_warn_only_enabled(),
    "is_floating_point_dtype": lambda t: W.is_floating_point_dtype(t.dtype),
    "is_nonzero": lambda t: W.is_nonzero(t(1)),
    "is_warn_always_enabled": lambda t: W.is_warn_always_enabled(),
    "is_webgpu_available": lambda t: W.is_webgpu_available() in (True, False),
    "levenshteinDistance": lambda t: W.levenshteinDistance("kitten", "sitting"),
    "memory_stats": lambda t: isinstance(W.memory_stats(), dict),
    "memory_summary": lambda t: isinstance(W.memory_summary(), str),
    "profiler_allow_cudagraph_cupti_lazy_reinit_cuda12": lambda t: W.profiler_allow_cudagraph_cupti_lazy_reinit_cuda12() in (True, False),
    "promote_types": lambda t: W.promote_types(t.dtype, webtorch.int32),
    "requireWebGPU": lambda t: W.requireWebGPU() == "webgpu" if W.is_webgpu_available() else True,
    "reset_peak_memory_stats": lambda t: W.reset_peak_memory_stats(),
    "result_type": lambda t: W.result_type(t(3), 1),
    "set_default_device": default_kept,
    "set_default_tensor_type": lambda t: quiet(W.set_default_tensor_type, W.get_default_dtype()),
    "set_deterministic_debug_mode": lambda t: quiet(W.set_deterministic_debug_mode, W.get_deterministic_debug_mode()),
    "set_float32_matmul_precision": lambda t: quiet(W.set_float32_matmul_precision, W.get_float32_matmul_precision()),
    "set_printoptions": lambda t: quiet(lambda: W.set_printoptions(profile="default")),
    "set_warn_always": lambda t: quiet(W.set_warn_always, W.is_warn_always_enabled()),
    "sym_float": lambda t: W.sym_float(3),
    "sym_int": lambda t: W.sym_int(3.5),
    "sym_not": lambda t: W.sym_not(True),
    "use_deterministic_algorithms": lambda t: quiet(W.use_deterministic_algorithms, W.are_deterministic_algorithms_enabled()),
}  # fmt: skip


def inside(scope, function):
    """What `function` gives inside a scope."""
    with contextlib.redirect_stderr(io.StringIO()), scope:
        return function()


def call_of(name: str):
    """The call of a name: its own, or that of its kind where it is an elementwise op."""
    if name in CALLS:
        return CALLS[name]
    row = getattr(W, name, None)
    if isinstance(row, Elementwise) and row.inputs == 1:
        return lambda t: getattr(W, name)(t(3, 4))
    if isinstance(row, Elementwise) and row.inputs == 2:
        return lambda t: getattr(W, name)(t(3, 4), t(4, start=2))
    return None


def leaves(result) -> list:
    """A result as flat lists of numbers and other plain things, for comparing devices."""
    if isinstance(result, W.Tensor):
        result = result.detach().cpu()
        return [(result.float() if result.dtype is webtorch.bfloat16 else result).numpy()]
    if isinstance(result, (tuple, list)):
        return [leaf for part in result for leaf in leaves(part)]
    return [result]


def requires_grad(result) -> bool:
    if isinstance(result, W.Tensor):
        return result.requires_grad
    return isinstance(result, (tuple, list)) and any(requires_grad(part) for part in result)
