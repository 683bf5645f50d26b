"""autocast runs each op in the dtype that its list says, on both devices; GradScaler leaves out steps that overflowed."""

import copy
import pathlib
import pickle
import re
import threading
import warnings

import numpy as np
import pytest

import webtorch
from webtorch import precision
from webtorch.ops import TABLE

F = webtorch.nn.functional
LOW = {"cpu": webtorch.bfloat16, "webgpu": webtorch.float16}


def ones(*shape, device, dtype=webtorch.float32):
    return webtorch.ones(*shape, device=device, dtype=dtype)


CALLS = {
    "lower": {
        "matmul": lambda x: x @ x,
        "mm": lambda x: x.mm(x),
        "mv": lambda x: x.mv(x[0]),
        "bmm": lambda x: x[None].bmm(x[None]),
        "einsum": lambda x: webtorch.einsum("ij,jk->ik", x, x),
        "linear": lambda x: F.linear(x, x, x[0]),
        "addmm": lambda x: webtorch.addmm(x, x, x),
        "baddbmm": lambda x: webtorch.baddbmm(x[None], x[None], x[None]),
        "conv1d": lambda x: F.conv1d(x[None], x[None, :2].expand(3, 2, 4).transpose(1, 2)[:, :4, :2], x[0, :3]),
        "prelu": lambda x: F.prelu(x, x[0, :1]),
        "attention": lambda x: F.scaled_dot_product_attention(x[None], x[None], x[None]),
        "lstm_cell": lambda x: F.lstm_cell(x, (x, x), x.repeat(4, 1), x.repeat(4, 1))[0],
    },
    "float32": {
        "exp": lambda x: x.exp(),
        "log": lambda x: webtorch.log(x),
        "pow": lambda x: x**2.5,
        "pow of a number": lambda x: 2**x,
        "second power": lambda x: x**2,
        "square": lambda x: x.square(),
        "softplus": lambda x: F.softplus(x),
        "softmax": lambda x: x.softmax(0),
        "log_softmax": lambda x: F.log_softmax(x, 1),
        "sum": lambda x: x.sum(),
        "cumsum": lambda x: x.cumsum(0),
        "prod": lambda x: x.prod(),
        "norm": lambda x: x.norm(),
        "logsumexp": lambda x: x.logsumexp(0),
        "layer_norm": lambda x: F.layer_norm(x, (4,)),
        "group_norm": lambda x: F.group_norm(x, 2),
        "mse_loss": lambda x: F.mse_loss(x, x),
        "cross_entropy": lambda x: F.cross_entropy(x, x.softmax(1)),
        "cosine_similarity": lambda x: F.cosine_similarity(x, x),
        "binary_cross_entropy_with_logits": lambda x: F.binary_cross_entropy_with_logits(x, x),
    },
    "as it comes": {
        "add": lambda x: x + 1,
        "relu": lambda x: x.relu(),
        "mean": lambda x: x.mean(),
        "gelu": lambda x: F.gelu(x),
        "sum with a dtype": lambda x: x.sum(dtype=x.dtype),
        "sigmoid": lambda x: x.sigmoid(),
        "cat": lambda x: webtorch.cat([x, x]),
        "max_pool1d": lambda x: F.max_pool1d(x, 2),
    },
}
ALL_CALLS = [(policy, name) for policy, calls in CALLS.items() for name in calls]


@pytest.mark.parametrize("policy, name", ALL_CALLS)
def test_dtypes_of_results(policy, name, device):
    call = CALLS[policy][name]
    for dtype in (webtorch.float32, webtorch.bfloat16, webtorch.float16):
        x = ones(4, 4, device=device, dtype=dtype)
        with webtorch.autocast(device, dtype=webtorch.bfloat16):
            result = call(x)
        wanted = {"lower": webtorch.bfloat16, "float32": webtorch.float32, "as it comes": dtype}[policy]
        assert result.dtype is wanted, dtype
    assert call(ones(4, 4, device=device)).dtype is webtorch.float32  # outside


def test_float64_and_integers_are_left_alone():
    x, i = (
        webtorch.ones(2, 2, dtype=webtorch.float64, device="cpu"),
        webtorch.ones(2, 2, dtype=webtorch.int64, device="cpu"),
    )
    with webtorch.autocast("cpu"):
        assert (x @ x).dtype is webtorch.float64 and x.exp().dtype is webtorch.float64
        assert i.sum().dtype is webtorch.int64 and i.exp().dtype is webtorch.float32


def test_widest(device):
    x, y = ones(3, device=device), ones(3, device=device, dtype=LOW[device])
    with webtorch.autocast(device):
        assert webtorch.dot(x, y).dtype is webtorch.float32 and webtorch.dot(y, y).dtype is LOW[device]
        assert webtorch.atan2(x, y).dtype is webtorch.addcmul(y, x, y).dtype is webtorch.float32
        assert webtorch.cat([x, y]).dtype is webtorch.stack([y, x]).dtype is webtorch.float32


def test_binary_cross_entropy_is_refused_on_a_gpu():
    """Its gradient overflows in float16; on the cpu it runs in float32."""
    x = ones(3, device="cpu", dtype=webtorch.bfloat16) / 2
    with webtorch.autocast("cpu"):
        assert F.binary_cross_entropy(x, x).dtype is webtorch.float32


@pytest.mark.gpu
def test_binary_cross_entropy_is_refused_on_webgpu():
    x = ones(3, device="webgpu") / 2
    with webtorch.autocast("webgpu"), pytest.raises(RuntimeError, match="binary_cross_entropy_with_logits"):
        F.binary_cross_entropy(x, x)


def test_each_device_has_its_own_state():
    x = ones(2, 2, device="cpu")
    with webtorch.autocast("webgpu", dtype=webtorch.float16):
        assert (x @ x).dtype is webtorch.float32 and webtorch.is_autocast_enabled("webgpu")
        with webtorch.autocast("cpu"):
            assert (x @ x).dtype is webtorch.bfloat16
            with webtorch.autocast("cpu", enabled=False):
                assert (x @ x).dtype is webtorch.float32
            assert (x @ x).dtype is webtorch.bfloat16
        assert not webtorch.is_autocast_enabled("cpu")
    assert not webtorch.is_autocast_enabled()


def test_state_is_restored_after_an_error_and_is_the_threads_own():
    found = []
    with pytest.raises(ZeroDivisionError), webtorch.autocast("cpu", dtype=webtorch.float16, cache_enabled=False):
        thread = threading.Thread(target=lambda: found.append(webtorch.is_autocast_enabled("cpu")))
        thread.start()
        thread.join()
        raise ZeroDivisionError
    if not getattr(__import__("sys").flags, "thread_inherit_context", False):
        assert found == [False]
    assert not webtorch.is_autocast_enabled("cpu") and webtorch.is_autocast_cache_enabled()
    assert webtorch.get_autocast_dtype("cpu") is webtorch.bfloat16


def test_decorator(device):
    @webtorch.amp.autocast(device, dtype=webtorch.bfloat16)
    def product(x, again):
        return product(x, False) + 0 if again else x @ x

    assert product(ones(2, 2, device=device), True).dtype is webtorch.bfloat16
    assert product.__name__ == "product" and not webtorch.is_autocast_enabled(device)
    with pytest.raises(TypeError, match="requires a callable"):
        webtorch.autocast(device)(3)


def test_gradients_have_the_dtype_of_the_weights(device):
    w = ones(3, 3, device=device).requires_grad_()
    x = ones(2, 3, device=device)
    with webtorch.autocast(device, dtype=webtorch.bfloat16):
        loss = F.mse_loss(F.linear(x, w).relu(), x)
        loss.backward()  # under autocast, too
    assert (
        w.grad.dtype is webtorch.float32
        and w.grad.tolist() == [[4 / 3] * 3] * 3
        or np.allclose(w.grad.tolist(), 4 / 3, rtol=1e-2)
    )


def test_weights_are_cast_once(device):
    w = ones(3, 3, device=device).requires_grad_()
    x = ones(2, 3, device=device)
    with webtorch.autocast(device):
        state = precision.current()
        first = precision.in_dtype(w, LOW[device], state)
        assert precision.in_dtype(w, LOW[device], state) is first
        assert precision.in_dtype(x, LOW[device], state) is not precision.in_dtype(x, LOW[device], state)
        with webtorch.no_grad():  # a cast without history would cut the weight off
            assert precision.in_dtype(w, LOW[device], state) is not first
        with webtorch.autocast(device):
            pass
        first = precision.in_dtype(w, LOW[device], state)
        with webtorch.no_grad():
            w.mul_(2)
        assert precision.in_dtype(w, LOW[device], state).tolist() == [[2.0] * 3] * 3  # no stale weight
        (x @ w @ w).sum().backward()
    assert precision._cache.get() is None and w.grad.dtype is webtorch.float32
    with webtorch.autocast(device, cache_enabled=False):
        state = precision.current()
        assert precision.in_dtype(w, LOW[device], state) is not precision.in_dtype(w, LOW[device], state)


def test_inplace_and_out_keep_their_dtype(device):
    x = ones(2, 2, device=device)
    with webtorch.autocast(device):
        out = webtorch.empty(2, 2, device=device)
        webtorch.mm(x, x + 1e-3, out=out)
        y = ones(2, 2, device=device, dtype=LOW[device])
        assert y.exp_().dtype is LOW[device]
    np.testing.assert_allclose(out.tolist(), 2.002, rtol=1e-6)  # computed in float32: `out` is left alone


def test_checkpointed_functions_run_again_as_they_ran():
    from webtorch.utils.checkpoint import checkpoint

    for reentrant in (False, True):
        w, seen = ones(2, 2, device="cpu").requires_grad_(), []
        record = seen.append
        with webtorch.autocast("cpu"):
            y = checkpoint(lambda v, record=record: (record((v @ v).dtype), v @ v)[1], w, use_reentrant=reentrant)
        y.sum().backward()
        assert seen == [webtorch.bfloat16] * 2 and w.grad.dtype is webtorch.float32


def test_custom_functions():
    class Product(webtorch.autograd.Function):
        @staticmethod
        @webtorch.amp.custom_fwd(device_type="cpu")
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x @ x

        @staticmethod
        @webtorch.amp.custom_bwd(device_type="cpu")
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            found.append(webtorch.is_autocast_enabled("cpu"))
            return (g @ x.t() + x.t() @ g).to(x.dtype)

    class Wide(webtorch.autograd.Function):
        @staticmethod
        @webtorch.amp.custom_fwd(device_type="cpu", cast_inputs=webtorch.float32)
        def forward(ctx, x):
            found.append((x.dtype, webtorch.is_autocast_enabled("cpu")))
            return x @ x

        @staticmethod
        @webtorch.amp.custom_bwd(device_type="cpu")
        def backward(ctx, g):
            found.append(webtorch.is_autocast_enabled("cpu"))
            return g

    found: list = []
    x = ones(2, 2, device="cpu").requires_grad_()
    with webtorch.autocast("cpu"):
        y = Product.apply(x)
    assert y.dtype is webtorch.bfloat16
    y.sum().backward()
    assert found == [True] and x.grad.tolist() == [[4.0, 4.0]] * 2
    found.clear()
    with webtorch.autocast("cpu"):
        z = Wide.apply(x.to(webtorch.bfloat16))
    z.sum().backward()
    assert z.dtype is webtorch.float32 and found == [(webtorch.float32, False), False]


def test_names():
    assert (
        webtorch.get_autocast_cpu_dtype() is webtorch.bfloat16 and webtorch.get_autocast_gpu_dtype() is webtorch.float16
    )
    assert (
        webtorch.get_autocast_ipu_dtype() is webtorch.float16 and webtorch.get_autocast_xla_dtype() is webtorch.bfloat16
    )
    assert (
        webtorch.is_autocast_cpu_enabled()
        is webtorch.is_autocast_ipu_enabled()
        is webtorch.is_autocast_xla_enabled()
        is False
    )
    try:
        webtorch.set_autocast_cpu_enabled(True)
        webtorch.set_autocast_cpu_dtype(webtorch.float16)
        assert webtorch.is_autocast_cpu_enabled() and webtorch.get_autocast_dtype("cpu") is webtorch.float16
        assert (ones(2, 2, device="cpu") @ ones(2, 2, device="cpu")).dtype is webtorch.float16
        webtorch.set_autocast_enabled(True)
        assert webtorch.is_autocast_enabled() and webtorch.is_autocast_enabled("cuda")
        assert webtorch.autocast_increment_nesting() == 1 and webtorch.autocast_decrement_nesting() == 0
    finally:
        precision.put(precision.State())
    assert webtorch.amp.is_autocast_available("cpu") and not webtorch.amp.is_autocast_available("toaster")
    assert webtorch.cuda.amp.autocast(enabled=False).device == "webgpu"
    with pytest.raises(RuntimeError, match="unsupported autocast device_type 'toaster'"):
        webtorch.autocast("toaster")
    with pytest.raises(ValueError, match="of type `str`"):
        webtorch.autocast(3)
    with pytest.warns(UserWarning, match="not supported. Disabling autocast"):
        assert not webtorch.autocast("cpu", dtype=webtorch.float64)._enabled


# ---- the list -------------------------------------------------------------------------------------------------------


def test_everything_on_the_list_looks_at_it():
    """Rows know their policy by their name; compounds carry the mark of `autocasts`."""
    by_themselves = {"stack", "cat"}
    for name, policy in precision.POLICY.items():
        if name in TABLE:
            assert TABLE[name].autocast == policy
            continue
        for place in (webtorch, webtorch.nn.functional, webtorch.linalg):
            function = vars(place).get(name)
            if function is not None and name not in by_themselves:
                assert getattr(function, "autocast", None) == policy, (
                    f"{name} is on the list: decorate it with @autocasts"
                )


def test_the_list_is_pytorchs():
    torch = pytest.importorskip("torch")
    header = pathlib.Path(torch.__file__).parent / "include" / "ATen" / "autocast_mode.h"
    if not header.exists():
        pytest.skip("this PyTorch came without its headers")
    text = header.read_text()
    known = {
        "LOWER_PRECISION_FP": "lower",
        "FP32": "float32",
        "FP32_SET_OPT_DTYPE": "float32 unless said",
        "PROMOTE": "widest",
    }
    for macro, policy in known.items():
        body = re.search(rf"#define AT_FORALL_{macro}\(_\)((?:.*\\\n)*.*)", text)[1]
        names = set(re.findall(r"_\((\w+)", body))
        assert names
        for name in names & precision.POLICY.keys():
            assert precision.POLICY[name] == policy, name


# ---- GradScaler -----------------------------------------------------------------------------------------------------


def scripted(lib, device, optimizers=1):
    """Losses that overflow at some steps; what the scaler and the weights become."""
    weights = [lib.tensor([1.0, 2.0], device=device, requires_grad=True) for _ in range(optimizers)]
    made = [lib.optim.SGD([w], lr=0.125) for w in weights]
    scaler = lib.amp.GradScaler(device, init_scale=8.0, growth_factor=4.0, backoff_factor=0.5, growth_interval=2)
    seen = []
    for step in range(7):
        for number, (w, optimizer) in enumerate(zip(weights, made, strict=True)):
            optimizer.zero_grad()
            factor = float("inf") if step == 3 and number == 0 else float("nan") if step == 4 and number else 1.0
            scaler.scale((w * factor).sum()).backward()
            if step % 2:
                scaler.unscale_(optimizer)
            scaler.step(optimizer)
        scaler.update()
        seen.append([scaler.get_scale(), *(w.tolist() for w in weights)])
    return seen, scaler.state_dict()


EXPECTED = [8.0, 32.0, 32.0, 16.0, 16.0, 64.0, 64.0]


def test_scaling(device):
    seen, state = scripted(webtorch, device)
    assert [entry[0] for entry in seen] == EXPECTED
    assert [entry[1][0] for entry in seen] == [0.875, 0.75, 0.625, 0.625, 0.5, 0.375, 0.25]
    assert state == {
        "scale": 64.0, "growth_factor": 4.0, "backoff_factor": 0.5, "growth_interval": 2, "_growth_tracker": 1,
    }  # fmt: skip


@pytest.mark.parametrize("optimizers", [1, 2])
def test_scaling_as_pytorch(optimizers, device):
    torch = pytest.importorskip("torch")
    assert scripted(webtorch, device, optimizers) == scripted(torch, "cpu", optimizers)


def test_scaler_mistakes(device):
    w = webtorch.ones(2, device=device, requires_grad=True)
    optimizer, scaler = webtorch.optim.SGD([w], lr=1.0), webtorch.amp.GradScaler(device)
    with pytest.raises(AssertionError, match="_scale is None"):
        scaler.step(optimizer)
    first, second = scaler.scale([w.sum(), (w * 2).sum()])
    with pytest.raises(AssertionError, match="No inf checks"):
        scaler.step(optimizer)
    scaler = webtorch.amp.GradScaler(device)
    scaler.scale(w.sum()).backward()
    scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="already been called"):
        scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="Closure"):
        scaler.step(optimizer, closure=lambda: None)
    scaler.step(optimizer)
    for call, message in ((scaler.step, "already been called"), (scaler.unscale_, "after step")):
        with pytest.raises(RuntimeError, match=message):
            call(optimizer)
    scaler.update()
    scaler.update(2.0)
    assert scaler.get_scale() == 2.0
    half = webtorch.ones(2, device=device, dtype=webtorch.float16, requires_grad=True)
    other = webtorch.optim.SGD([half], lr=1.0)
    scaler.scale(half.sum()).backward()
    with pytest.raises(ValueError, match="FP16"):
        scaler.unscale_(other)
    with pytest.raises(ValueError, match="Tensor or an iterable"):
        scaler.scale(3)
    with pytest.raises(AssertionError, match="growth factor"):
        webtorch.amp.GradScaler(device, growth_factor=1.0)


def test_disabled_scaler():
    w = webtorch.ones(2, device="cpu", requires_grad=True)
    optimizer, scaler = webtorch.optim.SGD([w], lr=1.0), webtorch.amp.GradScaler("cpu", enabled=False)
    loss = w.sum()
    assert scaler.scale(loss) is loss and scaler.get_scale() == 1.0 and scaler.state_dict() == {}
    loss.backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert w.tolist() == [0.0, 0.0] and not scaler.is_enabled()


def test_scaler_is_saved_and_copied(device):
    w = webtorch.ones(2, device=device, requires_grad=True)
    optimizer, scaler = webtorch.optim.SGD([w], lr=0.0), webtorch.amp.GradScaler(device, growth_interval=2)
    for _ in range(3):
        optimizer.zero_grad()
        scaler.scale(w.sum()).backward()
        scaler.step(optimizer)
        scaler.update()
    other = webtorch.amp.GradScaler(device)
    other.load_state_dict(scaler.state_dict())
    for same in (other, pickle.loads(pickle.dumps(scaler)), copy.deepcopy(scaler)):
        assert same.state_dict() == scaler.state_dict() and same.get_scale() == 2.0**17
    with pytest.raises(RuntimeError, match="empty"):
        other.load_state_dict({})


@pytest.mark.gpu
def test_one_number_is_read_per_step(monkeypatch):
    w = webtorch.ones(200, device="webgpu", requires_grad=True)
    optimizer, scaler = webtorch.optim.SGD([w], lr=0.5), webtorch.amp.GradScaler("webgpu")
    read, real = [], webtorch.engine.read
    monkeypatch.setattr(webtorch.engine, "read", lambda node: (read.append(node.size), real(node))[1])
    for _ in range(3):
        scaler.scale((w * w).sum()).backward()
        scaler.unscale_(optimizer)
        webtorch.nn.utils.clip_grad_norm_([w], 1.0)
        assert not read
        scaler.step(optimizer)
        scaler.update()
        assert read == [1]
        read.clear()


# ---- training -------------------------------------------------------------------------------------------------------


def trained(device, dtype, scaled):
    """The loss of a small network after some steps."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(64, 10)).astype(np.float32)
    target = webtorch.tensor(np.argmax(x[:, :3] * 2 + x[:, 3:6], 1), device=device)
    x = webtorch.tensor(x, device=device)
    webtorch.manual_seed(1)
    model = webtorch.nn.Sequential(
        webtorch.nn.Linear(10, 32), webtorch.nn.LayerNorm(32), webtorch.nn.GELU(), webtorch.nn.Linear(32, 3)
    ).to(device)
    optimizer, scaler = (
        webtorch.optim.Adam(model.parameters(), lr=1e-2),
        webtorch.amp.GradScaler(device, enabled=scaled),
    )
    for _ in range(25):
        optimizer.zero_grad()
        with webtorch.autocast(device, dtype=dtype or webtorch.bfloat16, enabled=dtype is not None):
            output = model(x)
            loss = F.cross_entropy(output, target)
        assert output.dtype is (dtype or webtorch.float32) and loss.dtype is webtorch.float32
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    assert {parameter.grad.dtype for parameter in model.parameters()} == {webtorch.float32}
    return loss.item()


def test_training_reaches_the_loss_of_float32(device):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exact = trained(device, None, False)
        assert exact < 0.3
        assert abs(trained(device, webtorch.bfloat16, False) - exact) < 0.05
        assert abs(trained(device, webtorch.float16, True) - exact) < 0.05


def test_the_page_on_precision_runs(device):
    page = (pathlib.Path(__file__).parents[1] / "docs" / "precision.md").read_text("utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    names: dict = {}
    before = webtorch.get_default_device()
    try:
        webtorch.set_default_device(device)
        exec(block, names)
    finally:
        webtorch.set_default_device(before)
    assert names["loss"].dtype is webtorch.float32
    assert names["scaler"].get_scale() in (
        65536.0,
        32768.0,
    )  # the first scale may be too large: then the step is left out
    assert names["model"].weight.grad.dtype is webtorch.float32
