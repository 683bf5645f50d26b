"""webtorch.types: every type of the torch.js index is there or has a counterpart that works when the program runs; every
public function is annotated."""

import csv
import inspect
import pathlib
import typing

import numpy as np
import pytest
import record_types

import webtorch
from webtorch import types
from webtorch.ops import Op
from webtorch.ops.inplace import InPlace
from webtorch.types.meaning import EXPRESSIONS, SHAPE_RULES
from webtorch.types.options_of import OPTIONS_OF, PYTORCH

with pathlib.Path(__file__).with_name("torchjs_names.csv").open(encoding="utf-8", newline="") as _file:
    NAMES = sorted({row["name"] for row in csv.DictReader(_file) if row["kind"] == "type"})


def test_every_type_has_a_meaning():
    assert len(NAMES) == 364
    missing = []
    for name in NAMES:
        try:
            types.meaning(name)
        except KeyError:
            missing.append(name)
    assert not missing
    assert not (set(SHAPE_RULES) | set(EXPRESSIONS)) - set(NAMES)
    assert not set(SHAPE_RULES) & set(EXPRESSIONS)


@pytest.mark.parametrize("name", SHAPE_RULES)
def test_the_function_behind_a_shape_rule_exists(name):
    assert record_types.function_of(SHAPE_RULES[name]) is not None, SHAPE_RULES[name]


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_the_expression_can_be_evaluated(name):
    x = webtorch.ones(2, 3, requires_grad=True)
    known = {"webtorch": webtorch, "x": x, "op": "add", "result": 1, "n": 4, "factor": 3, "dim": 1, "shape": (2, 3)}
    found = eval(EXPRESSIONS[name], known)
    assert found is not NotImplemented
    if name.startswith("Is") and "Op" in name:
        assert found is ("Binary" in name)


def test_options_are_those_of_the_signatures():
    assert set(OPTIONS_OF) == {name for name in NAMES if name.endswith("Options")}
    assert record_types.FILE.read_text("utf-8") == record_types.text(), "run python tests/record_types.py"
    unknown = [
        name for name, path in OPTIONS_OF.items() if record_types.function_of(path) is None and name not in PYTORCH
    ]
    assert not unknown


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SHAPE_RULES and name not in EXPRESSIONS])
def test_types_can_be_used_as_annotations(name):
    found = getattr(types, name)
    namespace: dict = {}
    exec(f"def function(x: types.{name}): ...", {"types": types}, namespace)
    assert namespace["function"].__annotations__["x"] is found
    if typing.is_typeddict(found):
        assert typing.get_type_hints(found, vars(types)) is not None


def test_configurations_are_what_the_functions_take():
    for config, function in (
        (types.UnaryOpConfig, webtorch.registerUnaryOp),
        (types.BinaryOpConfig, webtorch.registerBinaryOp),
        (types.AutogradConfig, webtorch.register_backward),
        (types.DTypeConfig, webtorch.register_dtype),
        (types.FunctionConfig, webtorch.register_function),
        (types.MethodConfig, webtorch.register_method),
    ):
        assert set(config.__annotations__) | set(getattr(config, "__required_keys__", ())) <= set(
            inspect.signature(function).parameters
        ), config
        assert set(inspect.signature(function).parameters) == all_keys(config), config
    for config, function in (
        (types.CPUKernelConfig, webtorch.register_forward),
        (types.ScalarWebGPUKernelConfig, webtorch.register_scalar_forward),
    ):
        assert all_keys(config) == set(inspect.signature(function).parameters)


def all_keys(config) -> set:
    return set(config.__required_keys__) | set(config.__optional_keys__)


def test_what_functions_return_has_the_keys_of_its_type():
    assert all_keys(types.OpInfo) == set(webtorch.get_op_info("add"))
    assert all_keys(types.DTypeInfo) == set(webtorch.get_dtype_info("int8"))
    report = webtorch.coverage_report()
    assert all_keys(types.CoverageReport) == set(report)
    for row in report["names"]:
        assert all_keys(types.OpCoverageEntry) == set(row)
    x = webtorch.tensor([1.0, 3.0, 2.0])
    assert x.cummax(0)._fields == types.CumExtremeResult._fields
    assert isinstance(x.dtype, types.DType) and isinstance(x.shape, types.Shape) and isinstance(x, types.TensorData)
    assert isinstance(x.numpy(), types.TypedArray) and isinstance(x._storage, types.TensorStorage)
    assert isinstance((x.requires_grad_() * 2).grad_fn, types.GradFn)
    assert types.Ellipsis is ... and np.ndarray is types.TypedArray


# ---- annotations -----------------------------------------------------------------------------------------------------


def public_functions():
    for module in (webtorch, webtorch.autograd, webtorch.registry, webtorch.nn.functional, webtorch.webgpu):
        for name, function in vars(module).items():
            if name.startswith("_") or isinstance(function, (type, Op, InPlace)) or inspect.ismodule(function):
                continue
            if inspect.isfunction(function) and str(function.__module__).startswith("webtorch"):
                yield f"{module.__name__}.{name}", function


def test_every_public_function_is_annotated():
    """Parameters and results; `self` is what it is."""
    bare = []
    for name, function in public_functions():
        signature = inspect.signature(inspect.unwrap(function))
        for parameter in signature.parameters.values():
            if parameter.annotation is parameter.empty and parameter.name not in ("self", "cls"):
                bare.append(f"{name}({parameter.name})")
        if signature.return_annotation is signature.empty:
            bare.append(f"{name} -> ?")
    assert not bare
