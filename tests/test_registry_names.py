"""torch.js's camelCase names of the registry: each does what its snake_case twin does."""

import pytest

import webtorch
from webtorch.errors import RegistryError


def test_looking_up(device):
    assert webtorch.hasKernel("tanh", "float32", device) and not webtorch.hasKernel("nothing", "float32", device)
    assert webtorch.has_autograd("tanh") and not webtorch.hasAutograd("eq")
    assert webtorch.hasDType("int8") and not webtorch.hasDType("int9")
    assert webtorch.hasFunction("tanh") and webtorch.hasMethod("tanh")
    assert webtorch.hasScalarKernel("tanh", "float32", device) and not webtorch.hasScalarKernel(
        "softmax", "float32", device
    )
    kernel = webtorch.getScalarKernel("tanh", "float32", device)
    assert callable(kernel) if device == "cpu" else kernel == "wt_tanh({x})"
    assert webtorch.getOpInfo("tanh") == webtorch.get_op_info("tanh")
    assert "float32" in webtorch.getOpInfo("tanh")["dtypes"][device]


def test_listing():
    assert "tanh" in webtorch.listOps() and "tanh" in webtorch.listFunctions() and "tanh" in webtorch.listMethods()
    assert (
        webtorch.listDTypes() == webtorch.list_dtypes() and webtorch.listCustomDTypes() == webtorch.listKernels() == []
    )


def test_registering(device):
    kernel = (lambda x: x * 0 + 3) if device == "cpu" else "fn f(i: u32) -> T { return T(3); }"
    scalar = (lambda x: x * 0 + 4) if device == "cpu" else "{x} * 0.0 + 4.0"
    x = webtorch.ones(2, device=device)
    with webtorch.registerKernel("neg", kernel, dtype="float32", device=device, override=True):
        assert (-x).tolist() == [3.0, 3.0]
    with webtorch.registerScalarKernel("neg", scalar, dtype="float32", device=device, override=True):
        assert (-x).tolist() == [4.0, 4.0]
    with webtorch.registerAutograd("neg", lambda ctx, g: g * 7, override=True):
        y = webtorch.ones(1, device=device, requires_grad=True)
        assert webtorch.autograd.grad(-y, y)[0].item() == 7
    with webtorch.registerFunction("own_name", lambda: 5), webtorch.registerMethod("own_name", lambda x: 6):
        assert webtorch.own_name() == 5 and x.own_name() == 6
    with webtorch.registerDType("own_f32", 2) as handle:
        assert handle.dtype.components == 2
    assert (-x).tolist() == [-1.0, -1.0]


def test_classes():
    assert (
        isinstance(webtorch.registry.kernel_registry, webtorch.KernelRegistry)
        and len(webtorch.registry.kernel_registry) == 0
    )
    assert (
        isinstance(webtorch.registry.dtype_registry, webtorch.DTypeRegistry)
        and webtorch.registry.dtype_registry.list() == []
    )
    assert isinstance(webtorch.registry.device_registry, webtorch.DeviceRegistry)
    with webtorch.register_dtype("own_f32", 2) as handle:
        assert (
            isinstance(handle, webtorch.DTypeHandleImpl)
            and webtorch.registry.dtype_registry.get("own_f32") is handle.dtype
        )
    with webtorch.register_backward("neg", lambda ctx, g: g, override=True) as handle:
        assert isinstance(handle, webtorch.AutogradHandleImpl)
    with pytest.raises(RegistryError):
        webtorch.getMethod("nothing")
