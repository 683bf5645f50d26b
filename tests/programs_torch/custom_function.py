"""Derivatives of one's own: a torch.autograd.Function, gradient check, second derivatives and a Jacobian."""

import torch
from seeded import normal, report
from torch.autograd import Function, Variable

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class LegendrePolynomial3(Function):
    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return 0.5 * (5 * input**3 - 3 * input)

    @staticmethod
    def backward(ctx, grad_output):
        (input,) = ctx.saved_tensors
        return grad_output * 1.5 * (5 * input**2 - 1)


class StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input, levels):
        return torch.round(input * levels) / levels

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output.clone(), None


def main():
    x = torch.linspace(-3.14, 3.14, 64, device=device)
    y = torch.sin(x)
    a, b, c, d = (torch.full((), value, device=device, requires_grad=True) for value in (0.0, -1.0, 0.0, 0.3))
    losses = []
    for _ in range(4):
        prediction = a + b * LegendrePolynomial3.apply(c + d * x)
        loss = (prediction - y).pow(2).sum()
        losses.append(loss.item())
        loss.backward()
        with torch.no_grad():
            for parameter in (a, b, c, d):
                parameter -= 5e-4 * parameter.grad
                parameter.grad = None
    z = Variable(normal(1, 5).to(device), requires_grad=True)
    (first,) = torch.autograd.grad(LegendrePolynomial3.apply(z).sum(), z, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), z)
    StraightThrough.apply(z, 4).sum().backward()
    jacobian = torch.autograd.functional.jacobian(lambda v: torch.tanh(v) * v.sum(), z.detach())
    report(losses=losses, second=second.tolist(), through=z.grad.tolist(), jacobian=jacobian.flatten().tolist())


if __name__ == "__main__":
    main()
