"""A function and a method of your own, made of webtorch's: what they compute fuses and differentiates."""

import webtorch


def rms(x, dim=-1):
    """The root of the mean square along a dimension."""
    return (x * x).mean(dim).sqrt()


function = webtorch.register_function("rms", rms)
method = webtorch.register_method("rms", rms, dtypes=("float32", "float64"))

x = webtorch.tensor([[3.0, 4.0], [6.0, 8.0]], requires_grad=True)
print("function", [round(value, 4) for value in webtorch.rms(x).tolist()])
print("method  ", [round(value, 4) for value in x.rms(dim=0).tolist()])
x.rms().sum().backward()
print("gradient", [[round(value, 4) for value in row] for row in x.grad.tolist()])
try:
    webtorch.tensor([1, 2]).rms()
except webtorch.RegistryError as error:
    print("of ints ", error.code)
try:
    webtorch.register_function("add", rms)
except webtorch.RegistryError as error:
    print("named as one there is", error.code)
function.remove()
method.remove()
print("removed ", hasattr(webtorch, "rms"), hasattr(x, "rms"))
