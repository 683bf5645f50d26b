"""ONNX Runtime's WebGPU provider: static graphs, inputs and results on the device, one element is read back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from serve import NotOffered, serve

PROVIDER = "WebGpuExecutionProvider"
UNARIES = ("Sin", "Cos", "Tanh", "Sigmoid", "Exp", "Neg", "Abs", "Sqrt", "Mul", "Relu")
node = helper.make_node
kept = []  # memory on the device ends with the session that made it


def integers(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def session(nodes: list, inputs: dict, outputs: dict, constants: dict) -> onnxruntime.InferenceSession:
    def described(values: dict) -> list:
        return [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in values.items()]

    initial = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "task", described(inputs), described(outputs), initializer=initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    made = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=[PROVIDER])
    if made.get_providers()[0] != PROVIDER:
        raise RuntimeError(f"runs on {made.get_providers()[0]}")
    return made


def kind_of(array: np.ndarray) -> tuple:
    return (TensorProto.FLOAT if array.dtype == np.float32 else TensorProto.INT64, list(array.shape))


def to_device(array: np.ndarray) -> onnxruntime.OrtValue:
    one = np.ones(1, array.dtype)
    made = session([node("Mul", ["x", "one"], ["y"])], {"x": kind_of(array)}, {"y": kind_of(array)}, {"one": one})
    binding = made.io_binding()
    binding.bind_cpu_input("x", array)
    binding.bind_output("y", "webgpu")
    made.run_with_iobinding(binding)
    kept.append((made, binding))
    return binding.get_outputs()[0]


def runner(nodes: list, inputs: dict, shape: list[int], constants: dict | None = None) -> tuple[Callable, Callable]:
    """A graph that computes y; where y has axes its last element is read, too."""
    constants = dict(constants or {})
    rank = len(shape)
    outputs = {"y": (TensorProto.FLOAT, shape)}
    if rank:
        nodes = [*nodes, node("Slice", ["y", "from", "to"], ["last"])]
        constants |= {"from": integers(*[n - 1 for n in shape]), "to": integers(*shape)}
        outputs["last"] = (TensorProto.FLOAT, [1] * rank)
    made = session(nodes, {name: kind_of(value) for name, value in inputs.items()}, outputs, constants)
    binding = made.io_binding()
    for name, value in inputs.items():
        binding.bind_ortvalue_input(name, to_device(value))
    if rank:
        binding.bind_output("y", "webgpu")
        binding.bind_output("last", "cpu")
    else:
        binding.bind_output("y", "cpu")

    def run() -> None:
        made.run_with_iobinding(binding)
        binding.get_outputs()[-1].numpy()

    return run, lambda _: binding.get_outputs()[0].numpy()


def block(arrays: list[np.ndarray]) -> tuple[Callable, Callable]:
    names = ("x", "wqkv", "bqkv", "wo", "bo", "w1", "b1", "w2", "b2", "g1", "c1", "g2", "c2")
    x, *weights = arrays
    batch, length, width = x.shape
    constants = dict(zip(names[1:], weights, strict=True)) | {
        "five": integers(batch, length, 3, 8, width // 8), "three": integers(batch, length, width),
        "scale": np.float32((width // 8) ** -0.5), "parts": integers(1, 1, 1), "zero": integers(0),
    }  # fmt: skip
    nodes = [
        node("LayerNormalization", ["x", "g1", "c1"], ["n1"], epsilon=1e-5), node("MatMul", ["n1", "wqkv"], ["p1"]),
        node("Add", ["p1", "bqkv"], ["p2"]), node("Reshape", ["p2", "five"], ["p3"]),
        node("Transpose", ["p3"], ["p4"], perm=[2, 0, 3, 1, 4]), node("Split", ["p4", "parts"], ["q0", "k0", "v0"], axis=0),
        *[node("Squeeze", [name + "0", "zero"], [name]) for name in "qkv"], node("Transpose", ["k"], ["kt"], perm=[0, 1, 3, 2]),
        node("MatMul", ["q", "kt"], ["s1"]), node("Mul", ["s1", "scale"], ["s2"]), node("Softmax", ["s2"], ["s3"], axis=-1),
        node("MatMul", ["s3", "v"], ["a1"]), node("Transpose", ["a1"], ["a2"], perm=[0, 2, 1, 3]),
        node("Reshape", ["a2", "three"], ["a3"]), node("MatMul", ["a3", "wo"], ["a4"]), node("Add", ["a4", "bo"], ["a5"]),
        node("Add", ["x", "a5"], ["r"]), node("LayerNormalization", ["r", "g2", "c2"], ["n2"], epsilon=1e-5),
        node("MatMul", ["n2", "w1"], ["u1"]), node("Add", ["u1", "b1"], ["u2"]), node("Gelu", ["u2"], ["u3"], approximate="tanh"),
        node("MatMul", ["u3", "w2"], ["u4"]), node("Add", ["u4", "b2"], ["u5"]), node("Add", ["r", "u5"], ["y"]),
    ]  # fmt: skip
    return runner(nodes, {"x": x}, list(x.shape), constants)


def attention(arrays: list[np.ndarray]) -> tuple[Callable, Callable]:
    nodes = [
        node("Transpose", ["k"], ["kt"], perm=[0, 1, 3, 2]), node("MatMul", ["q", "kt"], ["s1"]),
        node("Mul", ["s1", "scale"], ["s2"]), node("Softmax", ["s2"], ["s3"], axis=-1), node("MatMul", ["s3", "v"], ["y"]),
    ]  # fmt: skip
    scale = {"scale": np.float32(arrays[0].shape[-1] ** -0.5)}
    return runner(nodes, dict(zip("qkv", arrays, strict=True)), list(arrays[0].shape), scale)


def prepare(task: str, arrays: list[np.ndarray], mode: str) -> tuple[Callable, Callable]:
    kind = task.split("-")[0]
    kept.clear()
    named = dict(zip("abc", arrays, strict=False))
    shape = list(arrays[0].shape)
    if kind == "matmul":
        return runner([node("MatMul", ["a", "b"], ["y"])], named, shape)
    if kind == "chain":
        named = {name: array.reshape(-1, 4096) for name, array in named.items()}
        nodes = [node("Mul", ["a", "b"], ["t"]), node("Add", ["t", "c"], ["u"]), node("Relu", ["u"], ["v"]),
                 node("Sigmoid", ["a"], ["w"]), node("Mul", ["v", "w"], ["y"])]  # fmt: skip
        return runner(nodes, named, [shape[0] // 4096, 4096])
    if task == "sum-16M":
        return runner([node("ReduceSum", ["a"], ["y"], keepdims=0)], {"a": arrays[0].reshape(-1, 4096)}, [])
    if kind == "sum":
        return runner(
            [node("ReduceSum", ["a", "axis"], ["y"], keepdims=0)], named, [4096], {"axis": integers(int(task[-1]))}
        )
    if kind == "softmax":
        return runner([node("Softmax", ["a"], ["y"], axis=-1)], named, shape)
    if kind == "layernorm":
        return runner([node("LayerNormalization", ["a", "b", "c"], ["y"], epsilon=1e-5)], named, shape)
    if kind == "ops":
        names = ["a", *[f"t{i}" for i in range(999)], "y"]
        nodes = []
        for i in range(1000):
            kind = "Add" if task == "ops-1000" else UNARIES[i % 10]
            others = {"Add": ["b"], "Mul": [names[i]]}.get(kind, [])
            nodes.append(node(kind, [names[i], *others], [names[i + 1]]))
        return runner(nodes, named, shape)
    if kind == "block":
        return block(arrays)
    if kind == "attention":
        return attention(arrays)
    if kind == "conv":
        return runner([node("Conv", ["a", "b"], ["y"], pads=[1, 1, 1, 1])], named, [32, 64, 64, 64])
    if kind == "cumsum":
        return runner([node("CumSum", ["a", "axis"], ["y"])], named, shape, {"axis": np.array(0, np.int64)})
    if kind == "transpose":
        return runner([node("Transpose", ["a"], ["y"], perm=[1, 0])], named, shape)
    if kind == "gather":
        index = {"index": arrays[1]}
        return runner([node("Gather", ["a", "index"], ["y"])], {"a": arrays[0]}, shape, index)
    raise NotOffered("no training, and no such op on WebGPU")


def first() -> float:
    ones = np.ones((2, 2), np.float32)
    made = session([node("MatMul", ["a", "a"], ["y"])], {"a": kind_of(ones)}, {"y": kind_of(ones)}, {})
    return made.run(None, {"a": ones})[0][0, 0]


if __name__ == "__main__":
    serve({"version": onnxruntime.__version__}, prepare, first)
