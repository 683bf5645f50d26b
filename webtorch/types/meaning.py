"""What each type of the torch.js index is in Python. TypeScript computes with types; what exists there only while compiling
has its counterpart, named here, in a function or an expression that is evaluated when the program runs."""

from __future__ import annotations

# Shape rules: the function whose result shapes they compute. `webtorch.eval_shape(function, ...)` does it without values.
SHAPE_RULES: dict[str, str] = {
    "AdaptivePool1dShape": "nn.functional.adaptive_avg_pool1d", "AdaptivePool2dShape": "nn.functional.adaptive_avg_pool2d",
    "AtShape": "Tensor.at", "BroadcastShape": "broadcast_shapes", "BroadcastShapeRule": "broadcast_shapes", "CatShape": "cat",
    "CholeskyShape": "linalg.cholesky", "Conv1dShape": "nn.functional.conv1d", "Conv2dShape": "nn.functional.conv2d",
    "Conv3dShape": "nn.functional.conv3d", "ConvTranspose2dShape": "nn.functional.conv_transpose2d", "CumShape": "cumsum",
    "DetShape": "linalg.det", "DiagShape": "diag", "DotShapeRule": "dot", "EigShape": "linalg.eigh", "EinsumOutputShape": "einsum",
    "ExpandShape": "Tensor.expand", "FlattenShape": "flatten", "FlipShape": "flip", "GatherShape": "gather",
    "IdentityShape": "clone", "IndexSelectShape": "index_select", "InverseShape": "inverse", "LUShape": "linalg.lu",
    "MMShapeRule": "mm", "MVShapeRule": "mv", "Matmul2DShape": "mm", "MatmulShape": "matmul", "MatmulShapeRule": "matmul",
    "MatrixTransposeShape": "Tensor.mT", "NarrowShape": "narrow", "OuterShape": "outer", "PackShape": "pack",
    "PermuteShape": "permute", "Pool1dShape": "nn.functional.max_pool1d", "Pool2dShape": "nn.functional.max_pool2d",
    "Pool3dShape": "nn.functional.max_pool3d", "RearrangeShape": "rearrange", "ReduceShape": "reduce",
    "ReductionShapeRule": "sum", "RepeatShape": "repeat", "ReshapeShape": "reshape", "SVDShape": "linalg.svd",
    "SafeExpandShape": "Tensor.expand", "SameShapeRule": "clone", "ScatterShape": "scatter", "SelectShape": "select",
    "ShapeRule": "eval_shape", "SliceShape": "narrow", "SoftmaxShape": "softmax", "SqueezeShape": "squeeze",
    "StackShape": "stack", "TileShape": "tile", "TraceShape": "trace", "TransposeDimsShape": "transpose",
    "TransposeDimsShapeChecked": "transpose", "TransposeShape": "t", "UnpackShape": "unpack", "UnsqueezeShape": "unsqueeze",
    "ValidatedEinsumShape": "einsum", "ValidatedRearrangeShape": "rearrange", "ValidatedReduceShape": "reduce",
    "ValidatedRepeatShape": "repeat",
    # Checks of a call, and results that are an error in their place: the call raises a ShapeError.
    "BinaryBroadcastResult": "add", "ShapeCheckedResult": "eval_shape", "ValidateBatchedSquareMatrix": "linalg.inv",
    "ValidateChunkDim": "chunk", "ValidateEinsum": "einsum", "ValidateOperandCount": "einsum", "ValidateRanks": "einsum",
    "ValidateScalar": "Tensor.item", "ValidateSplitDim": "split", "ValidateSquareMatrix": "linalg.inv",
    "ValidateUnbindDim": "unbind", "AssertNoShapeError": "eval_shape", "CheckShapeError": "eval_shape", "At": "Tensor.at",
}  # fmt: skip

# Other things of the compiler: a Python expression that says the same of values, with the names that it uses.
EXPRESSIONS: dict[str, str] = {
    "AssertNotError": "not isinstance(result, Exception)",
    "HasShapeError": "isinstance(result, webtorch.ShapeError)",
    "IsShapeError": "isinstance(result, webtorch.ShapeError)",
    "IsRegistryError": "isinstance(result, webtorch.RegistryError)",
    "Is2D": "x.ndim == 2",
    "IsAtLeast1D": "x.ndim >= 1",
    "Rank": "x.ndim",
    "IsBinaryOp": "webtorch.get_op_info(op)['kind'] == 'binary'",
    "IsBinaryOpName": "op in webtorch.list_ops(kind='binary')",
    "IsReductionOp": "webtorch.get_op_info(op)['kind'] == 'reduction'",
    "IsReductionOpName": "op in webtorch.list_ops(kind='reduction')",
    "IsUnaryOp": "webtorch.get_op_info(op)['kind'] == 'unary'",
    "IsUnaryOpName": "op in webtorch.list_ops(kind='unary')",
    "BinaryOpNames": "webtorch.list_ops(kind='binary')",
    "ReductionOpNames": "webtorch.list_ops(kind='reduction')",
    "UnaryOpNames": "webtorch.list_ops(kind='unary')",
    "GetOpKind": "webtorch.get_op_info(op)['kind']",
    "GetOpSchema": "webtorch.get_op_info(op)",
    "Double": "2 * n",
    "DoubleDim": "(*shape[:dim], 2 * shape[dim], *shape[dim + 1:])",
    "Half": "n // 2",
    "HalfDim": "(*shape[:dim], shape[dim] // 2, *shape[dim + 1:])",
    "Triple": "3 * n",
    "MultiplyBy": "n * factor",
    "ScaleDim": "(*shape[:dim], factor * shape[dim], *shape[dim + 1:])",
    "InsertDim": "(*shape[:dim], n, *shape[dim:])",
    "RemoveDim": "(*shape[:dim], *shape[dim + 1:])",
    "ReplaceDim": "(*shape[:dim], n, *shape[dim + 1:])",
    "NegativeDim": "dim % len(shape)",
    "TupleOfLength": "(n,) * len(shape)",
    "BooleanDTypeRule": "webtorch.bool",
    "FloatDTypeRule": "x.dtype if x.dtype.is_floating_point else webtorch.get_default_dtype()",
    "PromoteDTypeRule": "webtorch.promote_types(x.dtype, x.dtype)",
    "SameDTypeRule": "x.dtype",
    "CPUOnlyResult": "x.is_cpu",
    "WebGPUOnlyResult": "x.is_webgpu",
    "DeviceCheckedResult": "webtorch.validateDevice(x.device) == x.device",
    "ValidateDevice": "webtorch.validateDevice('cpu')",
    "TypedArrayFor": "x.dtype.numpy",
    "GradientsFor": "webtorch.autograd.grad(x.sum(), (x,))",
    "InputsFor": "(x,)",
}


def meaning(name: str) -> str:
    """One line on what a type of the index is in Python.

    >>> meaning("MatmulShape")
    'compile-time only; at run time webtorch.eval_shape(webtorch.matmul, ...)'
    >>> meaning("Rank")
    'compile-time only; at run time x.ndim'
    >>> meaning("AddmmOptions")
    'webtorch.types.AddmmOptions'
    """
    import webtorch.types

    if name in SHAPE_RULES:
        return f"compile-time only; at run time webtorch.eval_shape(webtorch.{SHAPE_RULES[name]}, ...)"
    if name in EXPRESSIONS:
        return f"compile-time only; at run time {EXPRESSIONS[name]}"
    if hasattr(webtorch.types, name):
        return f"webtorch.types.{name}"
    raise KeyError(name)
