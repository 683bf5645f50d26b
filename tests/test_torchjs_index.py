"""The index of torch.js: every function and class of it is where the documentation has it, and is used by a test."""

import csv
import pathlib
import re

import pytest

import webtorch
from webtorch import autograd
from webtorch.ops import TABLE

TESTS = pathlib.Path(__file__).parent
with (TESTS / "torchjs_names.csv").open() as _file:
    INDEX = [row for row in csv.DictReader(_file) if row["kind"] in ("function", "class")]
PLACES = {"torch": webtorch, "torch.autograd": autograd}


def test_the_index_is_whole():
    assert len(INDEX) == 460 and len({(row["module"], row["name"]) for row in INDEX}) == 460


@pytest.mark.parametrize("module", PLACES)
def test_every_name_is_at_the_documented_place(module):
    names = [row["name"] for row in INDEX if row["module"] == module]
    assert not [name for name in names if not callable(getattr(PLACES[module], name, None))]


def test_every_name_is_documented():
    assert not [row["name"] for row in INDEX if not (getattr(PLACES[row["module"]], row["name"]).__doc__ or "").strip()]


def test_every_name_is_used_by_a_test():
    """As a word in a test; rows of the op table are called by name in the tests of the table, on both devices."""
    words = set()
    for path in TESTS.glob("*.py"):
        words |= set(re.findall(r"\w+", path.read_text("utf-8")))
    assert not [row["name"] for row in INDEX if row["name"] not in words and row["name"] not in TABLE]


# ---- names that no other test calls ---------------------------------------------------------------------------------


def test_switches_come_back_as_they_were_set():
    assert not webtorch.are_deterministic_algorithms_enabled()
    webtorch.set_deterministic_debug_mode("warn")
    try:
        assert webtorch.get_deterministic_debug_mode() == 1 and webtorch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        webtorch.set_deterministic_debug_mode(0)
    webtorch.set_warn_always(True)
    try:
        assert webtorch.is_warn_always_enabled()
    finally:
        webtorch.set_warn_always(False)
    assert webtorch.get_num_interop_threads() >= 1
    webtorch.clear_autocast_cache()


def test_questions_about_dtypes():
    assert webtorch.is_floating_point_dtype(webtorch.float16) and not webtorch.is_floating_point_dtype(webtorch.int8)
    assert (
        webtorch.is_complex_dtype(webtorch.complex64)
        and webtorch.get_real_dtype(webtorch.complex64) is webtorch.float32
    )


def test_symbolic_helpers_are_those_of_python():
    assert webtorch.sym_int(2.9) == 2 and webtorch.sym_float(3) == 3.0 and webtorch.sym_not(False) is True


def test_results_made_by_hand(device):
    x = webtorch.tensor([1.0, 3.0, 2.0], device=device)
    made = webtorch.createCumExtremeResult(*webtorch.cummax(x, 0))
    assert made.values.tolist() == [1.0, 3.0, 3.0] and made.indices.tolist() == [0, 1, 1]
    out = webtorch.zeros(3, device=device)
    assert webtorch.applyOut(x * 2, out) is out and out.tolist() == [2.0, 6.0, 4.0] and webtorch.applyOut(x) is x
    assert webtorch.var_(x).item() == pytest.approx(1.0)
    assert webtorch.is_nonzero(x[0]) and not webtorch.is_nonzero(x[0] * 0)
    with pytest.raises(RuntimeError):
        webtorch.is_nonzero(x)


def test_messages_are_built():
    assert webtorch.formatShape((2, 3)) == "[2, 3]"
    assert "matmul_error_inner_dimensions_do_not_match" in str(
        webtorch.buildErrorMessage("matmul_error_inner_dimensions_do_not_match", "3 != 5")
    )
    assert "ij,jk" in str(webtorch.formatEquationError("ij,jk", "nothing fits"))


def test_the_build(device):
    assert webtorch.createTorch() is webtorch and webtorch.createTorch(load=len).load("abc") == 3
    assert (
        webtorch.get_device_module(device).__name__ == {"cpu": "webtorch.devices", "webgpu": "webtorch.webgpu"}[device]
    )
    with pytest.raises(RuntimeError):
        webtorch.get_device_module("toaster")
    assert pathlib.Path(webtorch.get_file_path("webtorch", "version.py")).exists()
    assert webtorch.compiled_with_cxx11_abi() is True
    assert webtorch.profiler_allow_cudagraph_cupti_lazy_reinit_cuda12() is True


def test_classes_are_those_that_are_handed_out(device):
    x = webtorch.ones(2, device=device, requires_grad=True)
    y = (x * 2).sum()
    assert isinstance(y.grad_fn, autograd.Node)
    autograd.executeBackward(y)
    assert x.grad.tolist() == [2.0, 2.0]
    seen = []

    class Double(autograd.Function):
        @staticmethod
        def forward(ctx, value):
            seen.append(ctx)
            autograd.save_for_backward(ctx, value)
            autograd.set_materialize_grads(ctx, False)
            return value * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    Double.apply(x).sum().backward()
    assert isinstance(seen[0], autograd.FunctionCtx) and x.grad.tolist() == [4.0, 4.0]
    with autograd.ProfilerContext() as profiled:
        (x.detach() + 1).tolist()
    averages = autograd.key_averages(profiled)
    assert isinstance(averages, autograd.ProfilerKeyAverages) and "add" in autograd.table(profiled)
    with autograd.EmitNvtxContext():
        (x.detach() + 1).tolist()


def test_registries_know_what_is_registered():
    for registry in (webtorch.DeviceRegistry, webtorch.DTypeRegistry, webtorch.KernelRegistry):
        assert isinstance(registry, type)
    assert isinstance(webtorch.AutogradHandleImpl, type) and isinstance(webtorch.DTypeHandleImpl, type)
