"""Each of torch.js's 55 error types, raised through the public API on both devices: the message begins with the name,
restates the call, and says more than that."""

import csv
import pathlib

import numpy as np
import pytest

import webtorch
from webtorch.errors import CODES, DeviceError, RegistryError, ShapeError

NAMES = pathlib.Path(__file__).with_name("torchjs_names.csv")


def ones(*sizes, dtype=webtorch.float32):
    return webtorch.ones(*sizes, dtype=dtype)


def indices(*sizes):
    return webtorch.zeros(*sizes, dtype=webtorch.int64)


def registered(work):
    """Run `work` with an op of its own, which has no derivative and no kernel but for float32."""
    with webtorch.registerUnaryOp("own_op", lambda x: x + 1, "{x} + 1.0", dtypes="float32"):
        work()


def identity(x):
    return x


# The call that raises each of them, and what its message must tell besides the name. Tensors are made on the default
# device, which is the device under test.
CALLS = {
    "at_error_index_out_of_bounds": (lambda: ones(2, 3).at(5, 0), "5"),
    "batch_dimensions_do_not_match_error": (lambda: ones(2, 3, 4).bmm(ones(3, 4, 5)), r"\[2, 3, 4\]"),
    "broadcast_error_incompatible_dimensions": (lambda: ones(2, 3) + ones(4), r"\[2, 3\].*\[4\]"),
    "chunk_error_dim_out_of_range": (lambda: ones(2, 3).chunk(2, 5), "5"),
    "dimension_error_out_of_range": (lambda: ones(2, 3).sum(5), "5"),
    "einops_error_ambiguous_decomposition": (lambda: webtorch.rearrange(ones(6), "(a b) -> a b"), "a b"),
    "einops_error_anonymous_in_output": (lambda: webtorch.rearrange(ones(2, 3), "a b -> a 1 2 b"), "a 1 2 b"),
    "einops_error_dimension_mismatch": (lambda: webtorch.rearrange(ones(5), "(a b) -> a b", a=2), "5"),
    "einops_error_invalid_pattern": (lambda: webtorch.rearrange(ones(2, 3), "a b > b a"), "a b > b a"),
    "einops_error_reduce_undefined_output": (lambda: webtorch.reduce(ones(2, 3), "a b -> a c", "mean"), "c"),
    "einops_error_repeat_missing_size": (lambda: webtorch.repeat(ones(2), "a -> a b"), "b"),
    "einops_error_undefined_axis": (lambda: webtorch.rearrange(ones(2, 3), "a b -> a c"), "c"),
    "einsum_error_dimension_mismatch": (lambda: webtorch.einsum("ij,jk->ik", ones(2, 3), ones(4, 5)), "j"),
    "einsum_error_index_out_of_range": (lambda: webtorch.einsum(ones(2), [99], [99]), "99"),
    "einsum_error_invalid_equation": (lambda: webtorch.einsum("i->->i", ones(2)), "i->->i"),
    "einsum_error_invalid_sublist_element": (lambda: webtorch.einsum(ones(2), ["i"], []), "i"),
    "einsum_error_operand_count_mismatch": (lambda: webtorch.einsum("i,j->ij", ones(2)), "i,j->ij"),
    "einsum_error_subscript_rank_mismatch": (lambda: webtorch.einsum("ijk->i", ones(2, 3)), "ijk"),
    "einsum_error_unknown_output_index": (lambda: webtorch.einsum("ij->ik", ones(2, 3)), "k"),
    "embedding_bag_error_requires_2d_input": (
        lambda: webtorch.nn.functional.embedding_bag(indices(2, 2, 2), ones(3, 4)), r"\[2, 2, 2\]",
    ),
    "expand_error_incompatible": (lambda: ones(2, 3).expand(4, 3), r"\[4, 3\]"),
    "flip_error_dim_out_of_range": (lambda: ones(2, 3).flip(5), "5"),
    "gather_error_dim_out_of_range": (lambda: ones(2, 3).gather(5, indices(1, 1)), "5"),
    "index_select_error_dim_out_of_range": (lambda: ones(2, 3).index_select(5, indices(1)), "5"),
    "item_error_not_scalar": (lambda: ones(2).item(), r"\[2\]"),
    "linalg_error_not_square_matrix": (lambda: webtorch.inverse(ones(2, 3)), r"\[2, 3\]"),
    "linalg_error_requires_2d": (lambda: webtorch.trace(ones(2, 3, 4)), r"\[2, 3, 4\]"),
    "linalg_error_requires_at_least_2d": (lambda: webtorch.inverse(ones(3)), r"\[3\]"),
    "matmul_error_inner_dimensions_do_not_match": (lambda: ones(2, 3) @ ones(5, 4), r"3 != 5 for shapes \[2, 3\] and \[5, 4\]"),
    "narrow_error_length_exceeds_bounds": (lambda: ones(2, 3).narrow(1, 1, 5), "5"),
    "narrow_error_start_out_of_bounds": (lambda: ones(2, 3).narrow(1, 9, 1), "9"),
    "permute_error_dimension_count_mismatch": (lambda: ones(2, 3).permute(0), "2"),
    "scatter_error_dim_out_of_range": (lambda: ones(2, 3).scatter(5, indices(1, 1), 1.0), "5"),
    "select_error_index_out_of_bounds": (lambda: ones(2, 3).select(0, 7), "7"),
    "slice_error_out_of_bounds": (lambda: ones(2, 3).slice_scatter(ones(9, 9), 0, 0, 2), r"\[9, 9\]"),
    "softmax_error_dim_out_of_range": (lambda: ones(2, 3).softmax(5), "5"),
    "split_error_dim_out_of_range": (lambda: ones(2, 3).split(1, 5), "5"),
    "transpose_dims_error_out_of_range": (lambda: ones(2, 3).transpose(0, 5), "5"),
    "transpose_error_requires_2d_tensor": (lambda: ones(2, 3, 4).t(), r"\[2, 3, 4\]"),
    "unbind_error_dim_out_of_range": (lambda: ones(2, 3).unbind(5), "5"),
    "device_error_requires": (lambda: webtorch.ones(2, device="meta").tolist(), "meta"),
    "autograd_gradient_mismatch_error": (lambda: mismatched(), "2 gradients for 1 input"),
    "autograd_not_registered_error": (
        lambda: registered(lambda: webtorch.own_op(ones(2).requires_grad_()).sum().backward()), "own_op",
    ),
    "dtype_already_registered_error": (lambda: webtorch.register_dtype("float32", 2), "float32"),
    "dtype_components_mismatch_error": (lambda: webtorch.register_dtype("own_f32", 2, zero=(0,)), "own_f32.*2 numbers"),
    "dtype_not_found_error": (lambda: webtorch.get_dtype_info("float23"), "float23.*Did you mean 'float32'"),
    "function_already_registered_error": (lambda: webtorch.register_function("add", identity), "webtorch.add"),
    "invalid_config_error": (lambda: webtorch.register_function("not a name", identity), "not a name"),
    "kernel_not_registered_error": (
        lambda: registered(lambda: webtorch.own_op(ones(2, dtype=webtorch.int32))), "int32.*float32",
    ),
    "kernel_signature_mismatch_error": (
        lambda: webtorch.register_forward("tanh", lambda: 1, override=True), "tanh.*one array each",
    ),
    "method_already_registered_error": (lambda: webtorch.register_method("add", identity), "Tensor.add"),
    "method_dtype_not_supported_error": (lambda: method_of_floats(), "own_method.*int64.*float32"),
    "op_kind_mismatch_error": (lambda: webtorch.register_scalar_forward("sum", identity), "sum.*elementwise"),
    "op_not_found_error": (lambda: webtorch.get_op_info("tahn"), "tahn.*Did you mean 'tan"),
    "registration_failed_error": (lambda: webtorch.register_forward("tanh", np.tanh), "tanh.*override"),
}  # fmt: skip


def mismatched():
    with webtorch.register_backward("sin", lambda ctx, g: (g, g), override=True):
        ones(2).requires_grad_().sin().sum().backward()


def method_of_floats():
    with webtorch.register_method("own_method", identity, dtypes="float32"):
        indices(2).own_method()


def test_none_is_missing():
    with NAMES.open(encoding="utf-8", newline="") as file:
        names = {row["name"] for row in csv.DictReader(file) if row["kind"] == "error_type"}
    assert len(names) == 55
    assert set(CALLS) == names == set(CODES)


@pytest.mark.parametrize("code", CALLS)
def test_raised(code, device):
    call, told = CALLS[code]
    with (
        webtorch.device(device),
        pytest.raises((ShapeError, DeviceError, RegistryError), match=rf"(?s)^{code}: .*{told}") as caught,
    ):
        call()
    assert caught.value.code == code and isinstance(caught.value, CODES[code])
    assert len(str(caught.value)) > len(code) + 25  # it restates the call and says what to do
