"""The error hierarchy and the table of torch.js error names."""

import copy
import pickle

import pytest

from webtorch import errors
from webtorch.errors import CODES, coded_error, did_you_mean

# The error types of the torch.js index, typed in from it: 40 on shapes, 1 on devices, 14 of the registry.
INDEX = """
at_error_index_out_of_bounds autograd_gradient_mismatch_error autograd_not_registered_error
batch_dimensions_do_not_match_error broadcast_error_incompatible_dimensions chunk_error_dim_out_of_range
device_error_requires dimension_error_out_of_range dtype_already_registered_error dtype_components_mismatch_error
dtype_not_found_error einops_error_ambiguous_decomposition einops_error_anonymous_in_output
einops_error_dimension_mismatch einops_error_invalid_pattern einops_error_reduce_undefined_output
einops_error_repeat_missing_size einops_error_undefined_axis einsum_error_dimension_mismatch
einsum_error_index_out_of_range einsum_error_invalid_equation einsum_error_invalid_sublist_element
einsum_error_operand_count_mismatch einsum_error_subscript_rank_mismatch einsum_error_unknown_output_index
embedding_bag_error_requires_2d_input expand_error_incompatible flip_error_dim_out_of_range
function_already_registered_error gather_error_dim_out_of_range index_select_error_dim_out_of_range
invalid_config_error item_error_not_scalar kernel_not_registered_error kernel_signature_mismatch_error
linalg_error_not_square_matrix linalg_error_requires_2d linalg_error_requires_at_least_2d
matmul_error_inner_dimensions_do_not_match method_already_registered_error method_dtype_not_supported_error
narrow_error_length_exceeds_bounds narrow_error_start_out_of_bounds op_kind_mismatch_error op_not_found_error
permute_error_dimension_count_mismatch registration_failed_error scatter_error_dim_out_of_range
select_error_index_out_of_bounds slice_error_out_of_bounds softmax_error_dim_out_of_range
split_error_dim_out_of_range transpose_dims_error_out_of_range transpose_error_requires_2d_tensor
unbind_error_dim_out_of_range
""".split()

CLASSES = [
    errors.ShapeError,
    errors.IndexShapeError,
    errors.DTypeError,
    errors.DeviceError,
    errors.DeviceUnavailableError,
    errors.OutOfMemoryError,
    errors.DeviceLostError,
    errors.ShaderCompileError,
    errors.RegistryError,
]


def test_every_torchjs_error_name_has_a_class():
    assert sorted(CODES) == sorted(INDEX)
    assert len(INDEX) == len(set(INDEX)) == 55


@pytest.mark.parametrize("code", INDEX)
def test_coded_error(code):
    error = coded_error(code, "restated call")
    assert type(error) is CODES[code]
    assert error.code == code
    assert str(error) == f"{code}: restated call"
    assert isinstance(error, RuntimeError)
    registry = code.endswith("_error") and code != "batch_dimensions_do_not_match_error"
    family = (
        errors.DeviceError if code.startswith("device") else errors.RegistryError if registry else errors.ShapeError
    )
    assert isinstance(error, family)


def test_unknown_code():
    with pytest.raises(KeyError):
        coded_error("no_such_error", "message")


def test_index_errors_are_those_of_pytorch():
    """PyTorch raises IndexError for a dim out of range; the calls are made where PyTorch is installed."""
    torch = pytest.importorskip("torch")
    x = torch.zeros(2, 3)
    index = torch.zeros(1, dtype=torch.int64)
    calls = {
        "at_error_index_out_of_bounds": lambda: x[5],
        "broadcast_error_incompatible_dimensions": lambda: x + torch.zeros(4),
        "chunk_error_dim_out_of_range": lambda: x.chunk(2, 5),
        "dimension_error_out_of_range": lambda: x.sum(5),
        "expand_error_incompatible": lambda: x.expand(4, 3),
        "flip_error_dim_out_of_range": lambda: x.flip(5),
        "gather_error_dim_out_of_range": lambda: x.gather(5, index.reshape(1, 1)),
        "index_select_error_dim_out_of_range": lambda: x.index_select(5, index),
        "item_error_not_scalar": lambda: x.item(),
        "matmul_error_inner_dimensions_do_not_match": lambda: x @ x,
        "narrow_error_length_exceeds_bounds": lambda: x.narrow(0, 1, 5),
        "narrow_error_start_out_of_bounds": lambda: x.narrow(0, 7, 1),
        "permute_error_dimension_count_mismatch": lambda: x.permute(0),
        "scatter_error_dim_out_of_range": lambda: x.scatter(5, index.reshape(1, 1), 1.0),
        "select_error_index_out_of_bounds": lambda: x.select(0, 9),
        "softmax_error_dim_out_of_range": lambda: x.softmax(5),
        "split_error_dim_out_of_range": lambda: x.split(1, 5),
        "transpose_dims_error_out_of_range": lambda: x.transpose(0, 5),
        "transpose_error_requires_2d_tensor": lambda: torch.zeros(2, 2, 2).t(),
        "unbind_error_dim_out_of_range": lambda: x.unbind(5),
    }
    for code, call in calls.items():
        with pytest.raises((IndexError, RuntimeError)) as caught:
            call()
        assert isinstance(caught.value, IndexError) == issubclass(CODES[code], IndexError), code


@pytest.mark.parametrize("cls", CLASSES)
def test_classes(cls):
    assert issubclass(cls, RuntimeError)
    assert cls.__doc__ and "Raised" in cls.__doc__
    error = cls("message")
    assert str(error) == "message"
    assert getattr(error, "code", None) is None
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is cls and str(again) == "message"


def test_bases():
    assert issubclass(errors.IndexShapeError, IndexError) and not issubclass(errors.ShapeError, IndexError)
    assert issubclass(errors.DTypeError, TypeError)
    assert issubclass(errors.DeviceUnavailableError, errors.DeviceError)


def test_pickling_keeps_code_and_source():
    error = pickle.loads(pickle.dumps(coded_error("op_not_found_error", "frobnicate")))
    assert (str(error), error.code) == ("op_not_found_error: frobnicate", "op_not_found_error")
    error = pickle.loads(pickle.dumps(errors.ShaderCompileError("bad", source="a\nb")))
    assert (str(error), error.source) == ("bad\n   1 | a\n   2 | b", "a\nb")


def test_did_you_mean():
    assert did_you_mean("matmull", ["add", "matmul"]) == " Did you mean 'matmul'?"
    assert did_you_mean("xyzzy", ["add", "matmul"]) == ""
    assert did_you_mean("add", iter([])) == ""
