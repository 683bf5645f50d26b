"""wonnx takes lists and gives lists. So tensors are constants of the graph, times an input of one element (or they would be
folded), and only the first row of the result is read: its Gather gives the first row whichever is asked for."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import onnx
import wonnx
from onnx import TensorProto, helper, numpy_helper
from serve import NotOffered, serve

UNARIES = ("Sin", "Cos", "Tanh", "Sigmoid", "Exp", "Neg", "Abs", "Sqrt", "Mul", "Relu")
node = helper.make_node


def session(nodes: list, inputs: dict, outputs: dict, constants: dict) -> wonnx.Session:
    def described(values: dict) -> list:
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in values.items()]

    initial = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "task", described(inputs), described(outputs), initializer=initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return wonnx.Session.from_bytes(onnx.shape_inference.infer_shapes(model).SerializeToString())


def constant(nodes: list, shape: list[int], constants: dict) -> tuple[Callable, Callable]:
    output = ("y", shape)
    if len(shape) == 2:
        nodes = [*nodes, node("Gather", ["y", "row"], ["last"], axis=0)]
        constants = constants | {"row": np.array([0])}
        output = ("last", [1, shape[1]])
    made = session([node("Mul", ["a", "one"], ["x"]), *nodes], {"one": [1]}, dict([output]), constants)
    return lambda: made.run({"one": [1.0]})[output[0]], lambda result: np.asarray(result)


def prepare(task: str, arrays: list[np.ndarray], mode: str) -> tuple[Callable, Callable]:
    kind = task.split("-")[0]
    named = dict(zip("abc", arrays, strict=False))
    shape = list(arrays[0].shape)
    if kind == "matmul":
        return constant([node("MatMul", ["x", "b"], ["y"])], shape, named)
    if kind == "ops":
        names = ["a", *[f"t{i}" for i in range(999)], "y"]
        nodes = []
        for i in range(1000):
            kind = "Add" if task == "ops-1000" else UNARIES[i % 10]
            others = {"Add": ["b"], "Mul": [names[i]]}.get(kind, [])
            nodes.append(node(kind, [names[i], *others], [names[i + 1]]))
        made = session(nodes, {"a": shape}, {"y": shape}, {"b": arrays[-1]})
        values = arrays[0].tolist()
        return lambda: made.run({"a": values})["y"], lambda result: np.asarray(result)
    raise NotOffered("panics at 16 million elements, or has no such op")


def first() -> float:
    return session([node("MatMul", ["a", "a"], ["y"])], {"a": [2, 2]}, {"y": [2, 2]}, {}).run({"a": [1.0] * 4})["y"][0]


if __name__ == "__main__":
    serve({"version": version("wonnx"), "reads": "first row"}, prepare, first)
