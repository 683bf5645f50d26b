"""Automatic differentiation: what is recorded, how gradients flow, and every rule about writing in place.

The programs are compared with PyTorch's answers on both devices; random programs of views and writes are compared with
PyTorch where it is installed, and with finite differences always.
"""

import gc
import random
import threading
import weakref

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from programs import Programs, error, first_difference, plain, same

import webtorch

program = Programs("autograd")


def leaf(m, *values):
    return m.tensor([float(value) for value in values], requires_grad=True)


# ---- the flow of gradients ------------------------------------------------------------------------------------------


@program
def flags(m):
    x, y = leaf(m, 1, 2), m.tensor([3.0, 4.0])
    z = x * y
    yield x.requires_grad, y.requires_grad, z.requires_grad, x.is_leaf, y.is_leaf, z.is_leaf
    yield (
        x.grad_fn is None,
        z.grad_fn is None,
        z.grad_fn.name(),
        (y * 2).requires_grad,
        z.detach().requires_grad,
        z.detach().is_leaf,
    )
    yield (
        (z > 1).requires_grad,
        z.argmax().requires_grad,
        z.long().requires_grad,
        z.sum().requires_grad,
        x.data.requires_grad,
    )
    with m.no_grad():
        yield (x * 2).requires_grad, x.clone().requires_grad, x.requires_grad
    yield (
        m.ones(2, requires_grad=True).requires_grad,
        m.zeros_like(x).requires_grad,
        m.zeros_like(x, requires_grad=True).is_leaf,
    )
    yield error(RuntimeError, "only Tensors of floating point", lambda: m.tensor([1]).requires_grad_())
    yield error(
        RuntimeError, "you can only change requires_grad flags of leaf variables", lambda: z.requires_grad_(False)
    )
    yield z.requires_grad_().requires_grad, y.requires_grad_().requires_grad, y.requires_grad_(False).requires_grad


@program
def names_and_next_functions(m):
    x, y = leaf(m, 1, 2), leaf(m, 3, 4)
    for result in [
        x + y, x - 1, x * y, x / y, x**2, -x, x.exp(), x.sum(), x[0], x[:1], x.reshape(2, 1), x.unsqueeze(0), x.cos(),
        x.relu(), x.tanh(), x.clone(), x.expand(2, 2), m.cat([x, y]), m.where(x > 1, x, y), x.sigmoid(), x.abs(),
        x.view(1, 2).t(), x.cumsum(0), x.flip(0), x.squeeze(), x.permute(0), x.log(), x.sqrt(),
    ]:  # fmt: skip
        yield result.grad_fn.name()
    nodes = (x * y).grad_fn.next_functions
    yield [(node.name().split(":")[-1], number) for node, number in nodes], nodes[0][0].variable is x
    yield [node is None for node, _ in (x * 2).grad_fn.next_functions]


@program
def chains(m):
    x, w = leaf(m, 1, -2, 3), leaf(m, 0.5, 0.25, -1)
    y = (x * w).tanh() + (x @ w) * x
    (y * y).mean().backward()
    yield x.grad, w.grad
    x, w = m.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True), m.tensor([[1.0], [-1.0]], requires_grad=True)
    ((x @ w).relu().sum() + x.exp().log1p().prod()).backward()
    yield x.grad, w.grad
    x = leaf(m, 2)
    y = x
    for _ in range(5):
        y = y * x + y
    y.backward()
    yield y, x.grad


@program
def one_tensor_in_many_places(m):
    x = leaf(m, 1, 2, 3)
    (x * x + x + x.sum() * x[0]).sum().backward()
    yield x.grad
    x = leaf(m, 3)
    y = x * 2
    (y * y * y + y).backward()
    yield x.grad
    x = leaf(m, 1, 2)
    m.stack([x, x * 2, x]).sum().backward()
    yield x.grad


@program
def broadcasting(m):
    x, y, s = m.ones(3, 1, requires_grad=True), m.ones(1, 4, requires_grad=True), m.tensor(2.0, requires_grad=True)
    ((x + y) * s * m.arange(12.0).reshape(3, 4)).sum().backward()
    yield x.grad, y.grad, s.grad
    x = leaf(m, 1, 2)
    (x.expand(3, 2) * m.arange(6.0).reshape(3, 2)).sum().backward()
    yield x.grad


@program
def conversions(m):
    x = leaf(m, 1.5, 2.5)
    y = x.double() * 2
    y.sum().backward()
    yield y, x.grad
    x = leaf(m, 1.5, 2.5)
    (x.half() * m.tensor([1, 2])).sum().backward()
    yield x.grad
    x = leaf(m, 1, 2)
    x.long().float().sum()
    yield x.long().float().requires_grad, x.to(m.float32) is x


@program
def starting_gradients(m):
    x = leaf(m, 1, 2, 3)
    (x * x).backward(m.tensor([1.0, 0.5, -1.0]))
    yield x.grad
    x = m.tensor([[2.0]], requires_grad=True)
    (x * 3).backward()
    yield x.grad
    y = leaf(m, 1, 2) * 2
    yield error(RuntimeError, "grad can be implicitly created only for scalar outputs", lambda: y.backward())
    yield error(RuntimeError, "Mismatch in shape: grad_output[0] has a shape of", lambda: y.backward(m.ones(3)))
    yield error(TypeError, "gradients can be either Tensors or None, but got", lambda: m.autograd.backward([y], [1.0]))
    yield error(
        RuntimeError,
        "element 0 of tensors does not require grad and does not have a grad_fn",
        lambda: m.ones(()).backward(),
    )
    yield error(RuntimeError, "does not require grad", lambda: m.autograd.grad(m.ones(()), y))


@program
def several_roots(m):
    x, w = leaf(m, 1, 2), leaf(m, 3, 4)
    m.autograd.backward([(x * w).sum(), x * 2], [None, m.tensor([1.0, 10.0])])
    yield x.grad, w.grad
    y = (x * w).sum()
    m.autograd.backward([y, y])
    yield x.grad, w.grad
    yield m.autograd.grad([(x * w).sum(), (x**2).sum()], [x, w])
    yield m.autograd.grad((x * w).sum(), (w, x))
    z = x * 2
    yield m.autograd.grad([z.sum(), (z * z).sum()], [z, x])


@program
def accumulation(m):
    x = leaf(m, 1, 2)
    (x * 3).sum().backward()
    first = x.grad
    (x * x).sum().backward()
    yield x.grad, first is x.grad, x.grad.requires_grad, x.grad.is_leaf
    x.grad = None
    (x * 2).sum().backward()
    yield x.grad
    x.grad.zero_()
    (x * 5).sum().backward()
    yield x.grad
    x.grad = m.tensor([10.0, 20.0])
    x.sum().backward()
    yield x.grad
    yield error(RuntimeError, "size", lambda: setattr(x, "grad", m.ones(3)))
    yield error(TypeError, "grad", lambda: setattr(x, "grad", 1.0))
    yield leaf(m, 1).grad is None


@program
def gradients_are_their_own_memory(m):
    x, y, g = leaf(m, 1, 2), leaf(m, 3, 4), m.tensor([1.0, 1.0])
    (x + y).backward(g)
    x.grad.mul_(5)
    yield x.grad, y.grad, g


@program
def retained_graphs(m):
    x = leaf(m, 1, 2)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    yield x.grad
    message = "Trying to backward through the graph a second time"
    yield error(RuntimeError, message, lambda: y.backward())
    y = x.exp().sum()
    m.autograd.grad(y, x)
    yield error(RuntimeError, message, lambda: m.autograd.grad(y, x))
    y = (x + 1).sum()
    y.backward()
    y.backward()  # nothing was saved, so nothing was freed
    yield x.grad
    inner = x.sin()
    one, other = inner.sum(), (inner * 2).sum()
    one.backward()
    yield error(RuntimeError, message, lambda: other.backward())


@program
def retained_gradients(m):
    x = leaf(m, 1, 2)
    y = x * 2
    z = y * y
    y.retain_grad()
    y.retain_grad()
    x.retain_grad()
    yield y.retains_grad, x.retains_grad, z.retains_grad
    z.sum().backward(retain_graph=True)
    yield y.grad, x.grad
    z.sum().backward()
    yield y.grad, x.grad
    yield error(
        RuntimeError, "can't retain_grad on Tensor that has requires_grad=False", lambda: m.ones(1).retain_grad()
    )
    y = leaf(m, 1, 2) * 2
    y.retain_grad()
    y.mul_(3)
    (y * 5).sum().backward()
    yield y.grad


@program
def unused_and_materialized(m):
    x, w, z = leaf(m, 1, 2), leaf(m, 3), leaf(m, 4, 5)
    y = (x * x).sum()
    message = "The differentiated Tensor at index 1 appears to not have been used in the graph. Set allow_unused=True"
    yield error(RuntimeError, message, lambda: m.autograd.grad(y, [x, w], retain_graph=True))
    yield m.autograd.grad(y, [x, w], retain_graph=True, allow_unused=True)
    yield m.autograd.grad(y, [w, x, z], retain_graph=True, materialize_grads=True)
    yield error(
        ValueError,
        "Expected allow_unused to be True or not passed when materialize_grads=True",
        lambda: m.autograd.grad(y, [x], allow_unused=False, materialize_grads=True),
    )
    yield error(
        RuntimeError, "One of the differentiated Tensors does not require grad", lambda: m.autograd.grad(y, [m.ones(2)])
    )
    yield x.grad is None, w.grad is None


@program
def gradients_of_inner_tensors(m):
    x = leaf(m, 1, 2)
    y = x * 3
    z = (y * y).sum()
    yield (
        m.autograd.grad(z, [y], retain_graph=True),
        m.autograd.grad(z, [x, y, z], retain_graph=True),
        m.autograd.grad(z, z),
    )
    yield x.grad is None


@program
def backward_into_chosen_inputs(m):
    x, w = leaf(m, 1, 2), leaf(m, 3, 4)
    y = x * w
    (y * y).sum().backward(inputs=[w])
    yield x.grad is None, w.grad
    y = x * w
    (y * y).sum().backward(inputs=[y, x])
    yield x.grad, w.grad, y.grad
    yield error(RuntimeError, "cannot be empty", lambda: (x * w).sum().backward(inputs=[]))


@program
def batched_gradients(m):
    x = leaf(m, 1, 2, 3)
    y = x**2
    rows = m.autograd.grad(y, x, m.eye(3), is_grads_batched=True)
    yield rows
    w = leaf(m, 1, -1, 2)
    y, z = (x * w)[:2], (w * w).sum()
    yield m.autograd.grad([y, z], [x, w], [m.eye(2), m.tensor([0.0, 1.0])], is_grads_batched=True)


@program
def higher_derivatives(m):
    x = leaf(m, 0.5, -1, 2)
    (first,) = m.autograd.grad((x**4).sum(), x, create_graph=True)
    (second,) = m.autograd.grad(first.sum(), x, create_graph=True)
    (third,) = m.autograd.grad(second.sum(), x)
    yield first, second, third, first.requires_grad, third.requires_grad
    x, w = (
        m.tensor([[0.5, 1.0], [-1.0, 2.0]], requires_grad=True),
        m.tensor([[1.0, 2.0], [0.5, -1.0]], requires_grad=True),
    )
    y = ((x @ w).tanh() * x.sigmoid()).sum() + (x.softmax(1) * w.exp()).sum()
    gradients = m.autograd.grad(y, [x, w], create_graph=True)
    (gradients[0] ** 2).sum().add((gradients[1] * x).sum()).backward()
    yield gradients, x.grad, w.grad
    x = leaf(m, 1.5)
    (x**3).backward(create_graph=True)
    yield x.grad, x.grad.requires_grad
    x.grad.backward()
    yield x.grad


@program
def gradient_penalty(m):
    x, w = leaf(m, 1, 2, 3), leaf(m, 0.1, 0.2, 0.3)
    score = (x * w).tanh().sum()
    (g,) = m.autograd.grad(score, x, create_graph=True)
    loss = ((g.norm() - 1) ** 2) + score
    loss.backward()
    yield loss, w.grad, x.grad


@program
def hooks(m):
    seen = []
    x = leaf(m, 1, 2)
    y = x * 2
    handle = x.register_hook(lambda g: seen.append(("x", g.tolist())))
    y.register_hook(lambda g: g * 10)
    y.register_hook(lambda g: seen.append(("y", g.tolist())))
    y.sum().backward(retain_graph=True)
    yield list(map(list, seen)), x.grad
    handle.remove()
    handle.remove()
    x.grad = None
    y.sum().backward()
    yield len(seen), x.grad
    yield error(
        RuntimeError,
        "cannot register a hook on a tensor that doesn't require gradient",
        lambda: m.ones(1).register_hook(print),
    )
    x = leaf(m, 1, 2)

    def change(t):
        t.grad.add_(100)

    x.register_post_accumulate_grad_hook(change)
    (x * 3).sum().backward()
    yield x.grad
    x = leaf(m, 1, 2)
    with x.register_hook(lambda g: g * 0):
        (x * 3).sum().backward()
    (x * 3).sum().backward()
    yield x.grad


@program
def hooks_on_nodes(m):
    seen = []
    x, w = leaf(m, 1, 2), leaf(m, 3, 4)
    y = x * w
    y.grad_fn.register_hook(lambda into, out: seen.append([[g.tolist() for g in into], [g.tolist() for g in out]]))
    y.grad_fn.register_prehook(lambda out: (out[0] * 2,))
    y.sum().backward()
    yield seen, x.grad, w.grad
    x, w = leaf(m, 1, 2), leaf(m, 3, 4)
    y = x * w
    y.grad_fn.register_hook(lambda into, out: (into[0] * 0, into[1]))
    y.sum().backward()
    yield x.grad, w.grad


@program
def hooks_and_retained_gradients_together(m):
    x = leaf(m, 1, 2)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    y.sum().backward()
    yield y.grad, x.grad
    x = leaf(m, 1, 2)
    y = x * 2
    y.register_hook(lambda g: g * 10)
    yield m.autograd.grad((y * 3).sum(), [y])


@program
def saved_values(m):
    x, w = leaf(m, 1, 2), leaf(m, 3, 4)
    y = x * w
    yield y.grad_fn._saved_self, y.grad_fn._saved_other, x.exp().grad_fn._saved_result
    y.sum().backward()
    yield error(RuntimeError, "Trying to backward through the graph a second time", lambda: y.grad_fn._saved_self)


@program
def modes(m):
    x = leaf(m, 1, 2)
    with m.no_grad():
        y = x * 2
        with m.enable_grad():
            z = x * 3
    yield y.requires_grad, z.requires_grad
    z.sum().backward()
    yield x.grad
    with m.set_grad_enabled(False):
        yield (x * 2).requires_grad
    y = (x * x).sum()
    with m.no_grad():
        y.backward()  # recorded before, so it runs
    yield x.grad


# ---- writing in place -----------------------------------------------------------------------------------------------


@program
def version_counters(m):
    x = m.zeros(2, 2)
    view = x[0]
    yield x._version, view._version
    x.add_(1)
    view.mul_(2)
    x[1] = 5.0
    view.zero_()
    x[m.tensor([0])] = 1.0
    yield x._version, view._version, x.detach()._version, x.clone()._version, (x + 1)._version
    x += 1
    yield x._version, x


@program
def leaves_are_not_written_to(m):
    message = "a leaf Variable that requires grad is being used in an in-place operation."
    x = m.ones(2, 2, requires_grad=True)
    for write in (
        lambda: x.add_(1), lambda: x.zero_(), lambda: x.copy_(m.ones(2, 2)), lambda: x.__setitem__(0, 1.0), lambda: x.exp_(),
        lambda: x.masked_fill_(x > 0, 0.0), lambda: x.__setitem__(m.tensor([0]), 1.0), lambda: x.__iadd__(1), lambda: x.fill_(0),
    ):  # fmt: skip
        yield error(RuntimeError, message, write)
    yield error(
        RuntimeError,
        "a view of a leaf Variable that requires grad is being used in an in-place operation.",
        lambda: x[0].add_(1),
    )
    yield error(
        RuntimeError,
        "a view of a leaf Variable that requires grad is being used in an in-place operation.",
        lambda: x.view(-1).zero_(),
    )
    with m.no_grad():
        x.add_(1)
        x[0] = 7.0
        x.view(-1)[3] = -1.0
    yield x, x.requires_grad, x.is_leaf
    x.detach().add_(1)
    x.data.mul_(2)
    yield x
    (x * x).sum().backward()
    yield x.grad


@program
def leaf_that_requires_no_gradient_yet(m):
    x, w = m.ones(3), leaf(m, 1, 2, 3)
    x.mul_(w)
    yield x.requires_grad, x.is_leaf
    (x * x).sum().backward()
    yield w.grad
    buffer = m.zeros(4)
    buffer[1:3] = leaf(m, 1, 2) * 2
    yield buffer.requires_grad, buffer.is_leaf
    y = m.zeros(2)
    y.add_(w[:2]).mul_(w[1:])
    y.sum().backward()
    yield y, w.grad


@program
def writing_over_saved_values(m):
    message = "one of the variables needed for gradient computation has been modified by an inplace operation"
    x = leaf(m, 1, 2)
    y = x * 2
    z = y * y
    y.add_(1)
    yield error(RuntimeError, message, lambda: z.sum().backward())
    y = x.exp()
    y.mul_(2)
    yield error(RuntimeError, "is at version 1; expected version 0 instead. Hint:", lambda: y.sum().backward())
    w = m.ones(2)
    y = x * w
    w.zero_()
    yield error(RuntimeError, message, lambda: y.sum().backward())
    w = m.ones(2, 2)
    y = x * w[0]
    w[1] = 7.0  # another row, but the same memory
    yield error(RuntimeError, "is at version 1; expected version 0 instead. Hint:", lambda: y.sum().backward())
    with m.no_grad():
        w = m.ones(2)
        y = x * w
    w = m.ones(2)
    y = x + w
    w.zero_()  # an addition saves nothing
    y.sum().backward()
    yield x.grad
    w = leaf(m, 1, 1)
    y = (x * w).sum()
    with m.no_grad():
        w.add_(1)
    yield error(RuntimeError, message, lambda: y.backward())


@program
def writing_before_use(m):
    x = leaf(m, 1, 2, 3)
    y = x * 2
    y.add_(1).mul_(3)
    y.pow_(2)
    y.sum().backward()
    yield y, x.grad, y.grad_fn.name()
    x = leaf(m, 0.1, 0.2, 0.3)
    y = x * 1
    for name in ("sin_", "log1p_", "square_", "neg_", "abs_", "cos_", "log_"):
        y = getattr(y, name)()
    y.sum().backward()
    yield y, x.grad
    for name in ("exp_", "sqrt_", "tanh_", "sigmoid_", "reciprocal_", "relu_", "rsqrt_", "expm1_"):
        x.grad = None
        y = getattr(x * 3, name)()
        y.sum().backward()
        yield name, y, x.grad
    x = leaf(m, 1, -2, 3)
    y = x * 2
    y.clamp_(-3, 4)
    y.div_(x)
    y.sub_(x, alpha=2)
    y.sum().backward()
    yield y, x.grad


@program
def overwriting(m):
    x, w = leaf(m, 1, 2), leaf(m, 3, 4)
    for write in (lambda y: y.copy_(w * 1), lambda y: y.zero_(), lambda y: y.fill_(3.0), lambda y: y.__setitem__(Ellipsis, w * 2),
                  lambda y: y.__setitem__(0, w[1]), lambda y: y.masked_fill_(y > 3, 0.0)):  # fmt: skip
        x.grad = w.grad = None
        y = x * 2
        write(y)
        (y * m.tensor([1.0, 10.0])).sum().backward()
        yield y, y.requires_grad, x.grad, w.grad


@program
def writing_through_views(m):
    x = leaf(m, 1, 2, 3, 4)
    y = x * 2
    y[1:3] *= 10
    y[0] = y[3] + 2 * y[1]
    (y * m.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    yield y, x.grad
    x = m.arange(6.0).reshape(2, 3).requires_grad_()
    y = x * 1
    row, column, flat, corner = y[0], y[:, 1], y.view(-1), y.diagonal()
    row.mul_(2)
    column.add_(row[0] * 3)
    flat[4] = 100.0
    corner.sin_()
    yield y, row, column, flat, corner
    (y * y).sum().backward(retain_graph=True)
    yield x.grad
    x.grad = None
    (flat * flat).sum().backward(retain_graph=True)
    yield x.grad
    x.grad = None
    (row.sum() + column.sum() * 2 + corner.sum() * 3).backward()
    yield x.grad


@program
def names_after_a_write_through_a_view(m):
    x = leaf(m, 1, 2)
    y = x * 2
    v = y[:1]
    before = v.grad_fn.name()
    v.mul_(3)
    yield before, y.grad_fn.name().split(":")[-1], v.grad_fn.name(), v.is_leaf, y.is_leaf


@program
def a_view_made_before_its_base_requires_grad(m):
    base, w = m.zeros(4), leaf(m, 5, 6)
    view, other = base[:2], base.view(2, 2)
    base[1:3] = w
    yield base.requires_grad, view.requires_grad, other.requires_grad, view, other
    (view * m.tensor([1.0, 10.0])).sum().backward(retain_graph=True)
    yield w.grad
    (other * other).sum().backward()
    yield w.grad


@program
def views_of_views_and_chains_of_writes(m):
    x = m.arange(12.0).reshape(3, 4).requires_grad_()
    y = x * 1
    a = y[1:]
    b = a.t()
    c = b[1:3, 0]
    c.mul_(5)
    a[0].add_(c.sum())
    b.view_as(b)[0].neg_()
    y.mul_(2)
    c.div_(10)
    yield y, a, b, c
    (y * m.arange(12.0).reshape(3, 4)).sum().backward()
    yield x.grad


@program
def detached_aliases(m):
    x = leaf(m, 1, 2)
    y = x * 2
    d = y.detach()
    d.mul_(10)
    yield y, d.requires_grad, y._version
    y.sum().backward()
    yield x.grad
    y = x.sigmoid()
    y.detach().zero_()
    yield error(
        RuntimeError,
        "one of the variables needed for gradient computation has been modified by an inplace operation",
        lambda: y.sum().backward(),
    )


@program
def writes_through_data_are_not_counted(m):
    x, w = leaf(m, 1, 2), leaf(m, 3, 4)
    y = (x * w).sum()
    w.data.add_(10)
    w.data[0] = 100.0
    yield w, w._version, w.data.requires_grad
    y.backward()
    yield x.grad, w.grad


@program
def writing_under_no_grad(m):
    x = leaf(m, 1, 2)
    y = x * 3
    with m.no_grad():
        y.mul_(100)
    y.sum().backward()
    yield y, x.grad


@program
def inference_tensors(m):
    x = leaf(m, 1, 2)
    with m.inference_mode():
        y = x * 2
        z = m.ones(2)
        z.add_(1)
        yield y.requires_grad, y.is_inference(), z
    yield x.is_inference(), y.is_inference(), (y + 1).is_inference(), y.clone().is_inference()
    yield error(RuntimeError, "Inference tensors do not track version counter.", lambda: y._version)
    yield error(
        RuntimeError,
        "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.",
        lambda: z.requires_grad_(),
    )
    yield error(RuntimeError, "Inference tensors cannot be saved for backward.", lambda: x * z)
    (x * z.clone()).sum().backward()
    yield x.grad
    w = leaf(m, 1, 2)
    (w + z).sum().backward()
    yield w.grad
    yield error(
        RuntimeError, "Inplace update to inference tensor outside InferenceMode is not allowed.", lambda: z.add_(1)
    )


@program
def odd_outputs(m):
    x = m.tensor([[3.0, 1.0, 2.0], [4.0, 6.0, 5.0]], requires_grad=True)
    values, indices = x.max(1)
    yield values.requires_grad, indices.requires_grad
    (values * m.tensor([1.0, 2.0])).sum().backward()
    yield x.grad
    x.grad = None
    parts = x.unbind(1)
    (parts[0] * parts[2]).sum().backward()
    yield x.grad
    x.grad = None
    a, b = x.split([1, 2], 1)
    (a * b).sum().backward()
    yield x.grad
    x.grad = None
    a, b = x.chunk(2)
    (a / b).sum().backward()
    yield x.grad


@program
def empty_tensors(m):
    x = m.ones(0, 3, requires_grad=True)
    (x * 2).sum().backward()
    yield x.grad
    x = leaf(m, 1, 2)
    (x[:0].sum() + x[1]).backward()
    yield x.grad


# ---- Function -------------------------------------------------------------------------------------------------------


@program
def functions_in_the_older_style(m):
    class Scaled(m.autograd.Function):
        @staticmethod
        def forward(ctx, x, w, factor, flag=None):
            ctx.save_for_backward(x, w)
            ctx.factor = factor
            return x * w * factor

        @staticmethod
        def backward(ctx, g):
            x, w = ctx.saved_tensors
            return g * w * ctx.factor, g * x * ctx.factor, None, None

    x, w = leaf(m, 1, 2), leaf(m, 3, 4)
    y = Scaled.apply(x, w, 5.0)
    yield y, y.requires_grad, y.grad_fn.name()
    (y * y).sum().backward()
    yield x.grad, w.grad
    yield Scaled.apply(x.detach(), w.detach(), 2.0).requires_grad
    (first,) = m.autograd.grad((Scaled.apply(x, w, 2.0) ** 2).sum(), x, create_graph=True)
    first.sum().backward()
    yield first, w.grad
    yield error(
        RuntimeError,
        "Trying to backward through the graph a second time",
        lambda: [y.sum().backward(), y.sum().backward()],
    )


@program
def functions_in_the_newer_style(m):
    class Split(m.autograd.Function):
        @staticmethod
        def forward(x, k):
            return x.exp(), x * k, x > 0

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.mark_non_differentiable(output[2])
            ctx.save_for_backward(output[0])
            ctx.k = inputs[1]

        @staticmethod
        def backward(ctx, g, h, _):
            (out,) = ctx.saved_tensors
            return g * out + h * ctx.k, None

    x = leaf(m, 0.5, -1)
    a, b, positive = Split.apply(x, 3.0)
    yield a, b, positive, a.requires_grad, positive.requires_grad
    (a * 2 + b).sum().backward()
    yield x.grad
    x.grad = None
    Split.apply(x, 2.0)[1].sum().backward()  # the gradient of the unused output comes as zeros
    yield x.grad


@program
def functions_with_marks(m):
    class Nones(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 1, x * 2

        @staticmethod
        def backward(ctx, g, h):
            return (0 if g is None else g) + (0 if h is None else h * 2) + (m.ones(2) * 100 if g is None else 0)

    x = leaf(m, 1, 2)
    Nones.apply(x)[1].sum().backward()
    yield x.grad

    class Doubled(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = leaf(m, 1, 2)
    y = x * 3
    z = Doubled.apply(y)
    yield z is y, y
    (y * m.tensor([1.0, 10.0])).sum().backward()
    yield x.grad

    class Picky(m.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            return x + y

        @staticmethod
        def backward(ctx, g):
            return (g if ctx.needs_input_grad[0] else None), (g * 1000 if ctx.needs_input_grad[1] else None)

    x, w = leaf(m, 1, 2), m.ones(2)
    Picky.apply(x, w).sum().backward()
    yield x.grad, w.grad is None


@program
def functions_that_fail(m):
    class Two(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g, g

    class Wrong(Two):
        @staticmethod
        def backward(ctx, g):
            return m.ones(5)

    class Word(Two):
        @staticmethod
        def backward(ctx, g):
            return "no"

    class Once(Two):
        @staticmethod
        @m.autograd.function.once_differentiable
        def backward(ctx, g):
            return g * 2

    class Nothing(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    x = leaf(m, 1, 2)
    yield error(
        RuntimeError,
        "returned an incorrect number of gradients (expected 1, got 2)",
        lambda: Two.apply(x).sum().backward(),
    )
    yield error(
        RuntimeError,
        "returned an invalid gradient at index 0 - got [5] but expected shape compatible with [2]",
        lambda: Wrong.apply(x).sum().backward(),
    )
    yield error((RuntimeError, TypeError), "expected", lambda: Word.apply(x).sum().backward())
    yield error(NotImplementedError, "You must implement", lambda: Nothing.apply(x).sum().backward())
    (first,) = m.autograd.grad((Once.apply(x) * x).sum(), x, create_graph=True)
    yield first
    yield error(RuntimeError, "once_differentiable", lambda: first.sum().backward())


# ---- random programs of views and writes ----------------------------------------------------------------------------


def writable(t):
    """Whether every element has a place of its own."""
    return not any(stride == 0 and size > 1 for size, stride in zip(t.shape, t.stride(), strict=True))


# Each op gets the library, a tensor, another one, and a small number. Arithmetic gives contiguous results, because PyTorch
# keeps the layout of what it reads and webtorch does not.
VIEWS = {
    "select": lambda m, t, o, n: t.select(n % t.ndim, n % t.shape[n % t.ndim]) if t.ndim else t.unsqueeze(0),
    "slice": lambda m, t, o, n: t[n % 2 :: 1 + n % 2] if t.ndim else t[...],
    "transpose": lambda m, t, o, n: t.transpose(0, -1) if t.ndim else t[None],
    "flat": lambda m, t, o, n: t.view(-1) if t.is_contiguous() else t.unsqueeze(-1),
    "unsqueeze": lambda m, t, o, n: t.unsqueeze(n % (t.ndim + 1)),
    "squeeze": lambda m, t, o, n: t.squeeze(),
    "diagonal": lambda m, t, o, n: t.diagonal() if t.ndim >= 2 else t[..., None],
    "narrow": lambda m, t, o, n: t.narrow(n % t.ndim, 0, max(1, t.shape[n % t.ndim] - 1)) if t.ndim else t[None],
    "permute": lambda m, t, o, n: t.permute(*reversed(range(t.ndim))),
    "expand": lambda m, t, o, n: t.expand(2, *t.shape) if t.numel() < 30 else t[...],
    "detach": lambda m, t, o, n: t.detach(),
}
READS = {
    "scaled": lambda m, t, o, n: (t * (1 + n * 0.25)).contiguous(),
    "product": lambda m, t, o, n: (t * o if t.shape == o.shape else t * t).contiguous(),
    "sum": lambda m, t, o, n: (t + o if t.shape == o.shape else t - o.sum()).contiguous(),
    "clone": lambda m, t, o, n: t.contiguous().clone(),
    "exp": lambda m, t, o, n: (t * 0.1).exp().contiguous(),
    "indexed": lambda m, t, o, n: t[[0, -1]].contiguous() if t.ndim else (t * 3).contiguous(),
    "windows": lambda m, t, o, n: (
        (t.unfold(0, 2, 1) * 1).contiguous() if t.ndim and 2 <= t.shape[0] <= 4 and t.ndim < 4 else (t * 2).contiguous()
    ),
    "filled": lambda m, t, o, n: t.masked_fill(t.detach() > 0, 2.5).contiguous(),
}
WRITES = {
    "mul_": lambda m, t, o, n: t.mul_(1.5),
    "add_": lambda m, t, o, n: t.add_(o if t.shape == o.shape else o.sum()),
    "mul_other": lambda m, t, o, n: t.mul_(o.mean()),
    "mul_itself": lambda m, t, o, n: t.mul_(t),
    "div_": lambda m, t, o, n: t.div_(o.sum().abs() + 40),
    "pow_": lambda m, t, o, n: t.pow_(2),
    "sin_": lambda m, t, o, n: t.sin_(),
    "copy_": lambda m, t, o, n: t.copy_(o if t.shape == o.shape else o.mean()),
    "zero_": lambda m, t, o, n: t.zero_(),
    "fill_": lambda m, t, o, n: t.fill_(float(n)),
    "masked_fill_": lambda m, t, o, n: t.masked_fill_(t.detach() > 0.5, float(n)),
    "set_row": lambda m, t, o, n: t.__setitem__(n % t.shape[0] if t.ndim else Ellipsis, o.sum()),
    "set_slice": lambda m, t, o, n: t.__setitem__((Ellipsis, slice(None, None, 2)) if t.ndim else (), o.sum() * 0.1),
    "set_mask": lambda m, t, o, n: t.__setitem__(t.detach() > 1, o.mean()),
    "set_places": lambda m, t, o, n: t.__setitem__([0, -1] if t.ndim else Ellipsis, o.mean()),
    "add_row": lambda m, t, o, n: t.__setitem__(0, t[0] + 1.5) if t.ndim else t.add_(1),
    "unrecorded": lambda m, t, o, n: unrecorded(m, t),
}
STEPS = {**VIEWS, **READS, **WRITES}
NAMES = sorted([*VIEWS, *READS, *WRITES])


def unrecorded(m, t):
    with m.no_grad():
        t.mul_(0.5)


def observe(m, steps):
    """Run (name, tensor, other, number) steps and observe every value, flag, version and gradient, and what raised."""
    x = m.tensor([[2.0, -1.0, 0.5], [1.0, 3.0, -2.0]], requires_grad=True)
    tensors, seen = [x, x * 1.25, m.tensor([1.0, -2.0, 0.25])], []
    for name, first, second, number in steps:
        t, other = tensors[first % len(tensors)], tensors[second % len(tensors)]
        if name in WRITES and not writable(t):
            continue
        # PyTorch takes a view for a leaf when its base came to require grad, until the view is asked for its history.
        assert t.grad_fn is None or t.requires_grad
        try:
            made = STEPS[name](m, t, other, number)
        except RuntimeError:
            seen.append(f"{name} raised")
            continue
        if made is not None and len(tensors) < 8:
            tensors.append(made)
    for t in tensors:
        seen += [t, t.requires_grad, t.is_leaf, t._version]
    loss = sum(((t * (number + 0.5)).sum() for number, t in enumerate(tensors) if t.requires_grad), start=m.tensor(0.0))
    try:
        loss.backward()
        seen.append(x.grad)
    except RuntimeError:
        seen.append("backward raised")
    return seen


def steps_of(seed, count=6):
    """A program from a seed; only `Random.random` is the same on every version of Python."""
    source = random.Random(seed)

    def draw(below):
        return int(source.random() * below)

    return [(NAMES[draw(len(NAMES))], draw(8), draw(8), draw(4)) for _ in range(1 + draw(count))]


@program
def random_programs(m):
    for seed in range(60):
        yield observe(m, steps_of(seed))


@pytest.mark.parametrize("name", program.names())
def test_program(name, device):
    program.check(name, device)


@pytest.mark.filterwarnings("ignore:Using backward.. with create_graph=True:UserWarning")
@pytest.mark.parametrize("name", program.names())
def test_program_means_the_same_to_pytorch(name):
    program.check_torch(name)


steps = st.lists(
    st.tuples(st.sampled_from(NAMES), st.integers(0, 7), st.integers(0, 7), st.integers(0, 3)), min_size=1, max_size=7
)
quiet = [HealthCheck.too_slow, HealthCheck.data_too_large]


def compare_with_torch(device, chosen):
    torch = pytest.importorskip("torch")
    with webtorch.device(device):
        ours = plain(observe(webtorch, chosen))
    wanted = plain(observe(torch, chosen))
    assert same(ours, wanted), first_difference(ours, wanted, str(chosen))


@settings(max_examples=150, deadline=None, suppress_health_check=quiet, derandomize=True)
@given(steps)
def test_random_programs_on_cpu(chosen):
    compare_with_torch("cpu", chosen)


@pytest.mark.gpu
@settings(max_examples=40, deadline=None, suppress_health_check=quiet, derandomize=True)
@given(steps)
def test_random_programs_on_webgpu(chosen):
    compare_with_torch("webgpu", chosen)


# ---- what PyTorch has not, or cannot show ---------------------------------------------------------------------------


def test_values_saved_by_ops_in_place_are_safe(device):
    """`y.exp_()` keeps a result of its own for its derivative, so writing to y again is allowed; PyTorch refuses."""
    with webtorch.device(device):
        x = leaf(webtorch, 0.5, -1, 2)
        y = x * 1
        y.exp_().mul_(3).tanh_().relu_()
        y[0] = 7.0
        y.sum().backward()
        t = np.tanh(3 * np.exp(np.array([0.5, -1, 2])))
        wanted = (1 - t * t) * 3 * np.exp(np.array([0.5, -1, 2]))
        wanted[0] = 0
        np.testing.assert_allclose(x.grad.numpy(), wanted, rtol=2e-5, atol=1e-6)


def test_parts_of_a_split_may_be_written_to(device):
    """PyTorch refuses to write to one of several views that one call made; here each is a view like any other."""
    with webtorch.device(device):
        x = leaf(webtorch, 1, 2, 3, 4)
        y = x * 2
        first, second = y.chunk(2)
        first.mul_(10)
        second[0] = 0.0
        assert y.tolist() == [20.0, 40.0, 0.0, 8.0]
        (y * y).sum().backward()
        assert x.grad.tolist() == [800.0, 1600.0, 0.0, 32.0]


def test_5000_nodes_in_a_row(device):
    """Recording, running and letting go of a long graph needs no recursion."""
    with webtorch.device(device):
        x = leaf(webtorch, 1, 2)
        y = x
        for _ in range(5000):
            y = y * 1.0001
        y.sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), np.full(2, 1.0001**5000), rtol=1e-3)
        y = x
        for _ in range(2500):
            y = y.view(2, 1).squeeze(1)
        (gradient,) = webtorch.autograd.grad((y * y).sum(), x)
        assert gradient.tolist() == [2.0, 4.0]


def test_5000_writes_in_a_row():
    x = leaf(webtorch, 1, 2, 3)
    y = x * 1
    for number in range(5000):
        y[number % 3] += 1.0
    (y * y).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * y.detach().numpy())


def test_a_wide_graph(device):
    with webtorch.device(device):
        x = leaf(webtorch, 1, 2)
        total = webtorch.zeros(2)
        for number in range(500):
            total = total + x * number
        total.sum().backward()
        assert x.grad.tolist() == [124750.0, 124750.0]


def test_twenty_doublings_take_twenty_steps(device):
    """Each node runs once, however many ways lead to it."""
    with webtorch.device(device):
        x = leaf(webtorch, 1)
        y, ran = x, []
        for _ in range(20):
            y = y + y
            y.register_hook(lambda g: ran.append(1))
        y.sum().backward()
        assert x.grad.item() == 2.0**20 and len(ran) == 20


def test_graphs_are_freed_without_the_garbage_collector(device):
    """Nothing recorded refers to itself: memory comes back as soon as the last name is gone."""
    with webtorch.device(device):
        gc.collect()
        gc.disable()
        try:
            x = leaf(webtorch, 1, 2)
            middle = x.exp()
            kept = weakref.ref(middle.grad_fn), weakref.ref(middle)
            y = (middle * middle.sigmoid()).sum()
            del middle
            assert kept[0]() is not None
            y.backward()
            del y
            assert kept[0]() is None and kept[1]() is None
            z = x * 2
            z.exp_()
            z[0] = 1.0
            kept = weakref.ref(z.grad_fn)
            del z
            assert kept() is None
        finally:
            gc.enable()


def test_backward_frees_what_was_saved(device):
    with webtorch.device(device):
        x = leaf(webtorch, 1, 2)
        middle = x * 3
        kept = weakref.ref(middle)
        y = (middle * middle).sum()
        del middle
        assert kept() is not None
        y.backward(retain_graph=True)
        assert kept() is not None
        y.backward()
        assert kept() is None  # although y and its graph still exist


def test_counts_of_gradients_are_checked():
    y = leaf(webtorch, 1, 2) * 2
    with pytest.raises(RuntimeError, match="got 1 tensors and 2 gradients; give one gradient per tensor"):
        webtorch.autograd.backward([y], [webtorch.ones(2)] * 2)


def test_errors_in_hooks_and_functions_come_through(device):
    """... and leave the engine fit for the next pass."""

    class Fails(webtorch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            raise ZeroDivisionError("in backward")

    def refuse(g):
        raise KeyError("in a hook")

    with webtorch.device(device):
        x = leaf(webtorch, 1, 2)
        with pytest.raises(ZeroDivisionError, match="in backward"):
            Fails.apply(x).sum().backward()
        y = x * 2
        y.register_hook(refuse)
        with pytest.raises(KeyError, match="in a hook"):
            y.sum().backward()
        assert webtorch.is_grad_enabled() and x.grad is None
        (x * 3).sum().backward()
        assert x.grad.tolist() == [3.0, 3.0]


def test_a_hook_may_run_backward(device):
    with webtorch.device(device):
        x, w = leaf(webtorch, 1, 2), leaf(webtorch, 3, 4)

        def inner(g):
            with webtorch.enable_grad():  # off while gradients are computed, unless for create_graph
                (w * w).sum().backward()

        y = x * 2
        y.register_hook(inner)
        y.sum().backward()
        assert x.grad.tolist() == [2.0, 2.0] and w.grad.tolist() == [6.0, 8.0]


def test_threads_have_passes_of_their_own(device):
    """Eight threads, each with its own graph and leaves, and one leaf that all of them read."""
    shared = webtorch.tensor([1.0, 2.0, 3.0], device=device, requires_grad=True)
    problems = []

    def work(number):
        try:
            x = webtorch.full((3,), float(number), device=device, requires_grad=True)
            for _ in range(5):
                y = (x * shared * number).tanh().sum() + (x * x).sum()
                gradient, other = webtorch.autograd.grad(y, [x, shared])
                t = np.tanh(number * number * np.array([1.0, 2.0, 3.0]))
                slope = 1 - t * t
                np.testing.assert_allclose(
                    gradient.numpy(), slope * number * np.array([1.0, 2.0, 3.0]) + 2 * number, atol=1e-4
                )
                np.testing.assert_allclose(other.numpy(), slope * number * number, atol=1e-4)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not problems and not any(thread.is_alive() for thread in threads)


def test_programs_agree_with_finite_differences():
    """Random programs in float64: the slope of the result along a random direction."""
    source = np.random.default_rng(0)
    checked = 0
    for seed in range(40):
        chosen = [
            step
            for step in steps_of(seed)
            if step[0] not in ("detach", "unrecorded", "set_mask", "masked_fill_", "filled")
        ]

        def result(x, chosen=chosen):
            tensors = [x, x * 1.25]
            for name, first, second, number in chosen:
                t, other = tensors[first % len(tensors)], tensors[second % len(tensors)]
                if t is x and name in WRITES or name in WRITES and not writable(t):
                    continue
                made = STEPS[name](webtorch, t, other, number)
                if made is not None:
                    tensors.append(made)
            return sum(
                ((t * t * (number + 0.5)).sum() for number, t in enumerate(tensors[1:])), start=webtorch.tensor(0.0)
            )

        point, direction = source.standard_normal((2, 2, 3))
        x = webtorch.tensor(point, requires_grad=True)
        try:
            (gradient,) = webtorch.autograd.grad(result(x), x)
        except RuntimeError:
            continue  # a view of the leaf was written to, or a saved value
        with webtorch.no_grad():
            high, low = (result(webtorch.tensor(point + step * direction)).item() for step in (1e-6, -1e-6))
        slope = (high - low) / 2e-6
        assert abs((gradient.numpy() * direction).sum() - slope) <= 1e-5 * max(1, abs(slope)), chosen
        checked += 1
    assert checked >= 20
