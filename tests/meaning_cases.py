"""Calls whose meaning PyTorch defines: reductions, products of matrices, softmax, views, joins, creation.

Each is an expression over `t` (torch or webtorch), `F` (torch.nn.functional or webtorch) and the tensors of `inputs`.
Shared by test_meaning.py and record_meaning.py, which writes down what PyTorch makes of them.
"""

import re
import types
from typing import Any

import numpy as np


def inputs() -> dict[str, np.ndarray]:
    """The tensors that expressions name. Numbers are multiples of 1/8, so that many results are exact."""
    generator = np.random.default_rng(20)

    def eighths(*shape: int) -> np.ndarray:
        return (generator.integers(-24, 25, shape) / 8).astype(np.float32)

    nan, inf = np.nan, np.inf
    return {
        "x": eighths(3, 4), "y": eighths(3, 4), "c": eighths(2, 3, 4), "m": eighths(4, 5), "q": eighths(4, 4),
        "v": eighths(4), "w": eighths(3),
        "e": eighths(2, 4, 3), "k": eighths(5), "r": eighths(5, 4), "d": eighths(3, 4).astype(np.float64),
        "h": eighths(3, 4).astype(np.float16),
        "i": generator.integers(-9, 10, (3, 4)), "j": generator.integers(-9, 10, (3, 4)).astype(np.int32),
        "p": generator.integers(0, 9, (4, 2)),
        "u": generator.integers(0, 200, (3, 4)).astype(np.uint8), "a": generator.integers(-100, 100, (3, 4)).astype(np.int8),
        "b": generator.integers(0, 2, (3, 4)).astype(bool), "s": np.array(2.5, np.float32), "o": np.array([1.5], np.float32),
        "z": np.zeros((0, 3), np.float32), "n": np.array([[1, nan, 2], [inf, 1, -inf], [inf, inf, 3], [-0.0, 0.0, 0.0]], np.float32),
        "ties": np.array([[3, 1, 3, 1], [2, 2, 2, 2]], np.float32), "g": (generator.integers(8, 24, (3, 4)) / 16).astype(np.float32),
        "one": eighths(2, 1, 3), "f": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    }  # fmt: skip


def spread(template: str, **choices: str) -> list[str]:
    """The template with each choice of words, separated by |, in the place of its name."""
    made = [template]
    for name, words in choices.items():
        made = [text.replace(name, word) for text in made for word in words.split("|")]
    return made


def calls(text: str) -> list[str]:
    """The expressions of a text, between semicolons."""
    return [call.strip() for call in text.split(";") if call.strip()]


def reductions() -> list[str]:
    cases = []
    cases += spread(
        "t.OP(X)", OP="sum|prod|amax|amin|any|all|count_nonzero|max|min|argmax|argmin", X="x|i|j|u|a|b|h|d|s|o|z|n"
    )
    cases += spread(
        "X.OP(DIM)", OP="sum|amax|amin|any|all|count_nonzero", X="x|c|i|b|n", DIM="0|1|-1|dim=-2|dim=(0, 1)|dim=(0, -1)"
    )
    cases += spread(
        "c.OP(DIM)",
        OP="sum|amax|amin|any|all|mean",
        DIM="dim=(0, 2), keepdim=True|1, True|[2, 0]|dim=(0, 1, 2)|()|dim=None|dim=-1, keepdim=True",
    )
    cases += spread("c.OP(DIM)", OP="prod|argmax|argmin", DIM="0|1|-1|dim=2, keepdim=True|dim=-3")
    cases += spread("c.OP(DIM)", OP="sum|prod|amax|any|mean|argmax|max|cumsum|logsumexp|softmax|var", DIM="3|-4|dim=5")
    cases += spread("c.OP(dim=(0, 0))", OP="sum|amax|mean")
    cases += spread("z.OP(DIM)", OP="sum|prod|any|all|amax|amin|argmax|max|mean|logsumexp|cumsum", DIM="0|1")
    cases += spread("X.sum(dtype=D)", X="x|i|b|h", D="t.float32|t.float64|t.int32|t.float16|t.bool|t.uint8|t.int64")
    cases += spread("X.OP(1, dtype=D)", OP="sum|prod|cumsum|cumprod|mean", X="i|u", D="t.float32|t.int32|t.float64")
    cases += spread("X.mean(DIM)", X="x|d|h|i|b|n|s|z", DIM="|0|-1, True")
    cases += calls("""
        c.mean((0, 2)) ; t.mean(c, (0, 1), True) ; i.mean(dtype=t.float32) ; i.mean(0, dtype=t.float64)
    """)
    cases += spread(
        "t.OP(XARGS)",
        OP="var|std",
        XARGS="x|x, 0|x, 1, True|c, (0, 2)|x, dim=1, correction=0|x, dim=0, unbiased=False|x, False|o|"
        "c, dim=1, keepdim=True, correction=2|d, 0|i|z, 1|c, None, correction=0|n, 1",
    )
    cases += spread(
        "t.OP(XARGS)", OP="var_mean|std_mean", XARGS="x|x, 0|c, (0, 2), keepdim=True|x, dim=1, correction=0"
    )
    cases += spread("X.logsumexp(DIM)", X="x|c|d|n|i", DIM="0|-1, True|(0, 1)")
    cases += calls("""
        s.logsumexp(0) ; (x * 100).logsumexp(1) ; (x - 1000).logsumexp(1)
    """)
    cases += spread(
        "t.norm(XARGS)",
        XARGS="x|x, 1|x, 3|x, float('inf')|x, -float('inf')|x, 0|x, 'fro'|x, 2, 0|x, 1, 1, True|"
        "c, 2, (0, 2)|x, dim=1|d|i|x, p=0.5, dim=1|x * 0|s|x, 2, dtype=t.float64|o",
    )
    cases += spread("X.OP(DIM)", X="x|i|ties|n|c", OP="max|min", DIM="0|1|-1, keepdim=True")
    cases += calls("""
        t.max(x, y) ; t.min(i, j) ; x.max(dim=1)[1] ; t.max(s, 0) ; ties.max(1).indices ; ties.min(0).values
    """)
    cases += spread("X.OP(DIM)", X="ties|n|b|u", OP="argmax|argmin", DIM="|0|1, True|dim=-1")
    cases += spread("t.aminmax(XARGS)", XARGS="x|x, dim=0|x, dim=1, keepdim=True|i|n, dim=1|z|z, dim=1")
    cases += spread("t.OP(XARGS)", OP="nansum|nanmean", XARGS="n|n, 1|n, 0, True|x|x, dim=(0, 1)")
    cases += calls("""
        t.nansum(i) ; t.count_nonzero(c, dim=(0, 1)) ; t.count_nonzero(n) ; t.count_nonzero(b, 1)
    """)
    cases += spread("X.OP(DIM)", X="x|i|j|u|b|h|d|n", OP="cumsum", DIM="0|1|-1")
    cases += spread("X.OP(DIM)", X="g|i|b|n", OP="cumprod", DIM="0|1|-1")
    cases += calls("""
        s.cumsum(0) ; s.cumprod(-1) ; t.cumsum(c, dim=1, dtype=t.float64) ; t.cumsum(z, 0) ; o.cumsum(0) ;
        t.sum(x, 0, out=t.empty(0)) ; t.sum(x, 0, out=t.empty(4, dtype=t.float64)) ;
        t.mean(x, 0, out=t.empty(0)) ; t.amax(x, 1, out=t.empty(0)) ; t.var(x, 0, out=t.empty(0)) ;
        t.cumsum(x, 0, out=t.empty(0)) ; t.sum(x, 0, out=t.empty(4, dtype=t.int64)) ;
        t.all(b, 0, out=t.empty(0, dtype=t.bool)) ; t.logsumexp(x, 0, out=t.empty(0)) ;
        t.norm(x, 2, 0, out=t.empty(0)) ; x.any() ; t.any(x, dim=0) ; u.any(0) ; u.all(1) ; x.t().sum(0) ;
        c.flip(0).cumsum(0) ; c[:, ::2].amax((0, 1)) ; x.expand(2, 3, 4).prod(0) ; x.sum(axis=0) ;
        x.sum(0, keepdim=True).shape ; c.argmax().item() ; x.sum(0).dtype == t.float32 ;
        u.sum().dtype == t.int64 ; x.min().ndim ; t.renorm(x, 2, 0, 1.0) ; t.renorm(x, 1, 1, 2.5) ;
        t.renorm(c, 2, 1, 1.5) ; c.renorm(3, -1, 1.0) ; t.renorm(v, 2, 0, 1.0) ; t.renorm(x, 2, 2, 1.0) ;
        t.renorm(x, -1, 0, 1.0) ; t.renorm(x, 2, 0, -1.0) ; t.renorm(i, 2, 0, 1.0) ; t.renorm(x, float('inf'), 0, 1.0) ;
        t.renorm(n, 2, 0, 1.0) ; t.renorm(x, 0.5, 0, 3.0)
    """)
    return cases


def products() -> list[str]:
    cases = calls("""
        t.mm(x, m) ; x @ m ; t.mm(x, x) ; t.mm(x, v) ; t.bmm(c, e) ; t.bmm(c, c) ; t.bmm(x, m) ; t.mv(x, v) ;
        t.mv(x, w) ; t.dot(v, v) ; t.dot(v, w) ; t.dot(x, x) ; t.vdot(v, v) ; t.outer(v, w) ; t.outer(x, v) ;
        t.mm(x.t(), y) ; t.mm(x[:, ::2], m[1::2]) ; x.flip(1) @ m ; t.mm(i, p) ; t.mm(j, j.t())
    """)
    cases += spread("t.matmul(A, B)", A="x|c|v|w|s|one", B="m|e|v|w|q|s")
    cases += spread("t.matmul(A, B)", A="c|f", B="v|m|e.unsqueeze(1)|e[:1]")
    cases += calls("""
        t.matmul(i, p) ; t.matmul(x, p) ; t.matmul(x, d.t()) ; t.matmul(b, b.t()) ; t.matmul(u, u.t()) ;
        t.matmul(a, a.t()) ; t.matmul(h, h.t()) ; t.matmul(d, d.t()) ; z @ z.t() ; z.t() @ z ;
        t.matmul(x[:0], m) ; t.matmul(x[:, :0], m[:0]) ; m.t() @ v ; v @ m ; t.matmul(x, m, out=t.empty(0)) ;
        t.addmm(k, x, m) ; t.addmm(k, x, m, beta=0.5, alpha=2) ; t.addmm(s, x, m) ;
        t.addmm(k * float('nan'), x, m, beta=0) ; t.addmm(v, x, m) ; t.addmm(i[:, :1], i, p, beta=2, alpha=3) ;
        t.addmm(i[:, :1], i, p, alpha=0.5) ; t.addmv(w, x, v) ; t.addmv(w, x, v, beta=2, alpha=0.5) ;
        t.addmv(v, x, v) ; t.addr(x, w, v) ; t.addr(x, w, v, beta=0, alpha=2) ; t.addr(v, w, v, beta=0.5) ;
        t.baddbmm(x[:, :3], c, e) ; t.baddbmm(s, c, e, beta=2, alpha=-1) ; t.addbmm(x[:, :3], c, e) ;
        t.addbmm(w, c, e, beta=0.5, alpha=2) ; t.chain_matmul(x, m, r) ; t.chain_matmul(x) ;
        t.chain_matmul(w[None], x, m, k[:, None]) ; t.kron(x[:2, :2], y[:2, :3]) ; t.kron(v, w) ; t.kron(c, v) ;
        t.kron(s, x) ; t.tensordot(c, e, dims=([2, 1], [1, 2])) ; t.tensordot(c, m, dims=1) ;
        t.tensordot(v, w, dims=0) ; t.tensordot(x, y, dims=2) ; t.tensordot(c, x, dims=([1, 2], [0, 1])) ;
        t.tensordot(c, x, dims=([1], [1])) ; t.tensordot(c, x, dims=([-2], [0])) ; F.linear(x, r) ;
        F.linear(x, r, k) ; F.linear(c, r, k) ; F.linear(v, r) ; F.linear(x, v) ; F.linear(x, m) ;
        x.__matmul__(m) ; x.matmul(m) ; x.mm(m) ; c.bmm(e) ; x.mv(v) ; v.dot(v) ; v.outer(w) ;
        k.addmm(x, m, alpha=2) ; w.addmv(x, v) ; x.addr(w, v) ; t.mm(x, m, out=t.empty(0)) ;
        t.mm(x, m, out=t.empty(3, 5, dtype=t.float64)) ; x @ 3 ; t.ger(v, w) ; v.ger(w) ; t.ger(x, v) ;
        t.inner(v, v) ; t.inner(x, y) ; t.inner(c, x) ; t.inner(v, c) ; t.inner(s, x) ; t.inner(x, s) ; t.inner(v, w) ;
        t.inner(i, i) ; x.inner(v) ; t.inner(x, y, out=t.empty(0))
    """)
    return cases


def softmaxes() -> list[str]:
    cases = spread("OP(X, dim=D)", OP="t.softmax|t.log_softmax|F.softmin", X="x|c|d|n", D="0|1|-1")
    cases += spread(
        "t.OP(XARGS)",
        OP="softmax|log_softmax",
        XARGS="s, 0|o, 0|i, 0|i, 0, dtype=t.float32|z, 0|z, 1|x * 1000, 1|c, 2|h.float(), 1|x, 2|x, -3|x, 1, dtype=t.float64",
    )
    cases += calls("""
        x.softmax(0) ; x.log_softmax(-1) ; h.softmax(1) ; h.log_softmax(0) ; F.glu(x) ; F.glu(x, 1) ;
        F.glu(x, 0) ; F.glu(e, 1) ; x.t().softmax(0) ; x.expand(2, 3, 4).softmax(0)
    """)
    return cases


def movements() -> list[str]:
    cases = calls("""
        x.t() ; v.t() ; s.t() ; c.t() ; c.permute(2, 0, 1) ; c.permute((1, 0, -1)) ; c.permute(0, 1) ;
        c.permute(0, 0, 1) ; c.transpose(0, 2) ; c.transpose(-1, 1) ; c.transpose(0, 3) ; x.T ; c.mT ; v.mT ;
        t.transpose(x, 0, 1) ; t.swapaxes(c, 0, 1) ; t.swapdims(c, 0, 2) ; w.expand(2, 3) ; w.expand(2, -1) ;
        w.expand(2, 2) ; one.expand(2, 5, 3) ; one.expand(-1, 4, -1) ; w.expand(3, 1) ; s.expand(2, 2) ;
        t.broadcast_to(w, (2, 3)) ; t.broadcast_tensors(w, x[:, :1], s) ; w.expand_as(c[:, :, :3]) ;
        c.narrow(1, 1, 2) ; c.narrow(-1, -3, 2) ; c.narrow(1, 2, 2) ; c.narrow(1, 0, 0) ; c.select(1, -1) ;
        c.select(2, 4) ; s.select(0, 0) ; x.unsqueeze(0) ; x.unsqueeze(-1) ; x.unsqueeze(3) ; x.unsqueeze(-3) ;
        x.unsqueeze(-4) ; one.squeeze() ; one.squeeze(1) ; one.squeeze(0) ; one.squeeze((0, 1)) ; one.squeeze(3) ;
        t.squeeze(o) ; s.squeeze(0) ; x.view(4, 3) ; x.view(-1) ; x.view(2, -1, 3) ; x.view(5, -1) ;
        x.view(-1, -1) ; x.t().view(12) ; x.t().reshape(12) ; x.reshape(2, 6) ; t.reshape(c, (-1, 4)) ;
        x.reshape(()) ; s.reshape(1, 1) ; z.reshape(3, 0) ; z.reshape(-1, 3) ; z.view(-1) ; z.view(-1, 0) ;
        x.view(2, 2, 3)[0, 1] ; t.flatten(c) ; t.flatten(c, 1) ; c.flatten(0, 1) ; c.flatten(-2, -1) ;
        c.flatten(2, 1) ; s.flatten() ; x.flip(0) ; c.flip(0, 2) ; c.flip((1,)) ; t.flip(x, (0, -1)) ; x.flip(2) ;
        x.flip(0, 0) ; x.diagonal() ; x.diagonal(1) ; x.diagonal(-2) ; x.diagonal(5) ; c.diagonal(0, 1, 2) ;
        c.diagonal(1, 0, 2) ; c.diagonal(0, 1, 1) ; v.diagonal() ; v.unfold(0, 2, 1) ; c.unfold(2, 3, 1) ;
        c.unfold(1, 2, 2) ; v.unfold(0, 5, 1) ; v.unfold(0, 2, 0) ; s.unfold(0, 1, 1) ; c.movedim(0, 2) ;
        t.movedim(c, (0, 1), (-1, -2)) ; t.moveaxis(c, 2, 0) ; c.movedim((0, 0), (1, 2)) ; c.unbind() ;
        c.unbind(1) ; t.unbind(x, -1) ; s.unbind() ; x.split(2) ; x.split(3, 1) ; t.split(x, [1, 3], 1) ;
        t.split(x, [1, 1], 1) ; x.split(0) ; x.split(-1) ; x.split(10) ; t.chunk(x, 2) ; t.chunk(x, 3, 1) ;
        x.chunk(7, dim=-1) ; x.chunk(0) ; z.chunk(2) ; z.split(2) ; x.repeat(2, 1) ; x.repeat(2, 1, 3) ;
        v.repeat(2, 2) ; x.repeat(2) ; x.repeat(0, 1) ; s.repeat(3) ; x.tril() ; x.triu() ; t.tril(q, 1) ;
        t.triu(q, -1) ; c.tril(-1) ; v.tril() ; b.triu() ; i.tril() ; t.cat([x, y]) ; t.cat([x, y], 1) ;
        t.cat((x, i), -1) ; t.cat([x, m]) ; t.cat([x, z.t()[:, :0]], 1) ; t.cat([x, t.empty(0)]) ; t.cat([s, s]) ;
        t.cat([]) ; t.cat([u, a]) ; t.cat([b, i]) ; t.cat([x], 2) ; t.cat([x, h]) ;
        t.cat([x, y], out=t.empty(0)) ; t.concat([v, v]) ; t.concatenate([v, w], 0) ; t.cat([x.t(), y.t()], 1) ;
        t.cat([z, z]) ; t.stack([x, y]) ; t.stack([x, y], 1) ; t.stack([x, y], -1) ; t.stack([x, m]) ;
        t.stack([s, s]) ; t.stack([]) ; t.stack([x, y], 3) ; t.stack([x, y], dim=-4) ; x.contiguous() ;
        x.t().contiguous().stride() ; x.clone() ; x.detach() ; x.view_as(y.t()) ; x.reshape_as(y.t()) ;
        x.t().stride() ; c.permute(2, 0, 1).stride() ; w.expand(2, 3).stride() ; c[:, 1:, ::2].stride() ;
        c[:, 1:, ::2].storage_offset() ; x.t().is_contiguous() ; t.zeros(0, 3).stride() ; one.squeeze().stride() ;
        x.unsqueeze(0).stride() ; x.unsqueeze(2).stride() ; x.numel() ; c.size() ; c.size(-1) ; c.dim() ; s.ndim ;
        x.element_size() ; x.fill_(3) ; x.zero_() ; x.copy_(v) ; x.copy_(i) ; x.t().fill_(2) ; x.copy_(m) ;
        x.fill_(v) ; x.fill_(s) ; x.type_as(i) ; x.to(t.float16) ; i.to(x) ; x.int() ; x.bool() ; i.float() ;
        x.double() ; n.bool() ; x.half() ; i.char() ; x.abs().byte() ; i.short() ; x.long()
    """)
    return cases


def comparisons() -> list[str]:
    cases = calls("""
        t.equal(x, x) ; t.equal(x, y) ; t.equal(x, m) ; t.equal(n, n) ; t.allclose(x, x + 1e-7) ;
        t.allclose(x, y) ; t.allclose(n, n) ; t.allclose(n, n, equal_nan=True) ;
        t.isclose(x, x + 0.001, rtol=0.01) ; t.isclose(n, n) ; t.isclose(n, n, equal_nan=True) ; t.isclose(x, d) ;
        t.isclose(i, i + 1, atol=1) ; t.isclose(i, i) ; t.isin(i, t.tensor([1, 2, 3])) ; t.isin(x, y) ;
        t.isin(i, 3) ; t.isin(3, i) ; t.isin(i, t.tensor([1, 2]), invert=True) ; t.isin(z, x) ; t.isin(x, z)
    """)
    return cases


def creations() -> list[str]:
    cases = spread(
        "t.OP(XARGS)",
        OP="zeros|ones",
        XARGS="2, 3|(2, 3)|[3]|0|()|2, dtype=t.int64|2, dtype=t.bool|2, 0, 3|-1|size=(2, 2)",
    )
    cases += calls("""
        t.empty(2, 3).shape ; t.empty(0).shape ; t.empty_like(x).shape ; t.empty_like(i).dtype == t.int64
    """)
    cases += spread("t.OP(XARGS)", OP="zeros_like|ones_like", XARGS="x|i|b|s|z|x, dtype=t.int32|x.t()")
    cases += calls("""
        t.full((2, 2), 3) ; t.full((2,), 2.5) ; t.full((2,), True) ; t.full((), 7) ;
        t.full((2,), 3, dtype=t.float16) ; t.full((0, 2), 1) ; t.full_like(x, 2) ; t.full_like(i, 2.7) ;
        t.full_like(b, 1) ; t.full((2,), float('inf')) ; t.arange(5) ; t.arange(1, 4) ; t.arange(1, 10, 3) ;
        t.arange(5, 0, -2) ; t.arange(0.5, 3) ; t.arange(0, 1, 0.25) ; t.arange(3, dtype=t.float32) ;
        t.arange(0) ; t.arange(3, 3) ; t.arange(3, 1) ; t.arange(1, 3, 0) ; t.arange(5, dtype=t.uint8) ;
        t.arange(-3, 3) ; t.arange(1, 2.5, 0.5, dtype=t.float64) ; t.arange(2.5, dtype=t.int64) ;
        t.arange(0, 5, 1.5) ; t.arange(10, 0, -3.5) ; t.linspace(0, 1, 5) ; t.linspace(-1, 1, 4) ;
        t.linspace(3, 1, 3) ; t.linspace(0, 1, 1) ; t.linspace(0, 1, 0) ; t.linspace(0, 10, 11, dtype=t.float64) ;
        t.linspace(0, 10, 4, dtype=t.int64) ; t.linspace(0, 1, -1) ; t.eye(3) ; t.eye(2, 4) ; t.eye(0) ;
        t.eye(2, dtype=t.int64) ; t.eye(-1) ; t.scalar_tensor(3) ; t.scalar_tensor(2, dtype=t.int64) ;
        t.tensor(3) ; t.tensor(3.5) ; t.tensor(True) ; t.tensor([1, 2]) ; t.tensor([1, 2.5]) ;
        t.tensor([True, 2]) ; t.tensor([[1], [2]]) ; t.tensor([]) ; t.tensor([[]]) ; t.tensor([[1, 2], [3]]) ;
        t.tensor('a') ; t.tensor([1, 2], dtype=t.float16) ; t.tensor([1.7, -1.7], dtype=t.int64) ;
        t.tensor([300], dtype=t.uint8) ; t.tensor([0.5, 0.0], dtype=t.bool) ; t.tensor(x) ;
        t.tensor([float('nan'), float('inf')]) ; t.tensor([s, s]) ; t.as_tensor([1, 2]) ; t.as_tensor(x) ;
        t.as_tensor(x, dtype=t.int32) ; t.asarray([1.5]) ; t.asarray(x, copy=True) ; t.tensor(2**40) ;
        t.tensor(2**70) ; t.tensor([2**31]) ; t.tensor(-1, dtype=t.uint8) ; t.tensor((1, 2)) ;
        t.tensor(range(3)) ; t.tensor(None)
    """)
    return cases


def further() -> list[str]:
    """What few programs use, and what once was otherwise than in PyTorch."""
    cases = calls("""
        t.gradient(x) ; t.gradient(x, dim=0) ; t.gradient(x, spacing=2.0, dim=(0, 1), edge_order=2) ; t.gradient(i, dim=1) ;
        t.gradient(v, spacing=(t.cumsum(v.abs() + 1, 0),), edge_order=2) ; t.gradient(x, edge_order=3) ; t.gradient(o) ;
        t.gradient(c, spacing=[0.5, 2.0], dim=(2, 1)) ; t.gradient(x, spacing=(1.0, 2.0, 3.0)) ;
        t.segment_reduce(x, 'sum', lengths=t.tensor([1, 0, 2])) ; t.segment_reduce(x, 'mean', lengths=t.tensor([1, 2])) ;
        t.segment_reduce(x, 'max', lengths=t.tensor([1, 0, 2])) ; t.segment_reduce(k, 'min', offsets=t.tensor([0, 2, 5])) ;
        t.segment_reduce(x, 'prod', lengths=t.tensor([3]), initial=2.0) ; t.segment_reduce(x, 'sum', lengths=t.tensor([1])) ;
        t.segment_reduce(x, 'sum', lengths=t.tensor([[1, 3], [4, 0], [2, 2]]), axis=1) ;
        t.segment_reduce(i, 'sum', lengths=t.tensor([3])) ;
        t.nonzero_static(b, size=3) ; t.nonzero_static(b, size=40, fill_value=7) ; t.binomial(o * 0 + 5, o * 0 + 1) ;
        t.native_dropout(x, 0.3, False) ; t.fill(x, 2) ; t.fill(i, s) ; t.put(x, t.tensor([0, -1]), t.tensor([9.0, 8.0])) ;
        t.put(x, t.tensor([[0], [0]]), t.tensor([[9.0], [8.0]]), accumulate=True) ; t.put(x, t.tensor([12]), o) ;
        t.constant_pad_nd(x, (1, 2), 7.0) ; t.native_channel_shuffle(f.reshape(1, 6, 4), 3) ; t.range(1, 4) ;
        t.range(0, 1, 0.25) ;
        t.is_same_size(x, y) ; t.is_same_size(x, v) ; t.is_signed(u) ; t.is_signed(x) ; t.is_inference(x) ;
        t.is_distributed(x) ;
        t.unsafe_chunk(x, 2) ; t.unsafe_split(x, 2, 1) ; t.unsafe_split_with_sizes(x, [1, 2]) ; x.unsafe_chunk(2, 1) ;
        t.fill_(x, 3) ; t.zero_(x) ; t.index_put_(x, (t.tensor([1]),), s) ; t.detach_(x) ; t.conj_physical_(x * 1j) ;
        t.addmv_(w, x, v) ;
        t.resize_as_(x, v) ; t.as_strided_(x, (2, 2), (1, 2), 3) ; x.resize_(2, 3) ; x.resize_((4,)) ; x[1:].resize_(2, 2) ;
        x.set_(y) ; x.set_(i) ; x.is_set_to(x) ; x.is_set_to(x.t()) ; x.t().dim_order() ; c.dim_order() ;
        t.empty_strided((2, 3), (1, 2)).stride() ; t.empty_permuted((2, 3, 4), (2, 0, 1)).stride() ;
        t.empty_permuted((2, 3), (0, 0)) ;
        x.new_empty_strided((2, 3), (3, 1)).shape ; x.swapaxes_(0, 1) ; x.swapdims_(0, 1) ; x.renorm_(2, 0, 1.0) ; d.float_power_(2) ;
        x.float_power_(2) ; g.polygamma(2) ; g.polygamma_(1) ; g.igamma(g) ; g.igammac_(g) ; (g + 2).mvlgamma_(2) ; x.flip(dims=(0, 1)) ;
        x.flip(dims=[1]) ; t.flip(x, dims=(0,)) ; t.polygamma(2, x - 0.3) ; t.polygamma(3, x - 0.3) ; t.polygamma(2, x * 0) ;
        t.cosine_similarity(one, c[:, :, :3], dim=-1) ; t.cosine_similarity(one, one.transpose(0, 1), dim=-2) ;
        t.cov(o) ; t.cov(v) ;
        t.cov(v[None]) ; t.corrcoef(v[None]) ; t.cov(h, aweights=v.abs()) ; t.norm(q, 'nuc') ;
        t.take_along_dim(x, t.tensor([[-1], [-4], [2]]), 1) ; t.take_along_dim(x, t.tensor([-12, 3])) ;
        t.tensordot(t.ones(1, 4), x, dims=([0, 1], [0, 1])) ; t.index_fill(x, 1, t.tensor([0, 2]), s) ;
        t.index_fill(x, 1, t.tensor([0]), v) ;
        t.broadcast_shapes((3, 1), 4) ; t.addr(b, b[:, 0], b[0]) ; t.linalg.vander(j[0]) ; t.linalg.vander(s, N=3) ;
        t.unravel_index(u % 7, (2, 5)) ; t.logspace(0, 2.9, 3, dtype=t.int64) ; t.nn.functional.unfold(t.ones(0, 1, 5, 5), 2) ;
        t.nn.functional.group_norm(t.ones(0, 2), 1) ; t.stft(f.flatten(), 8, window=t.ones(8), return_complex=False) ;
        t.ormqr(r.t()[:2], v[:2] * 0 + 0.5, m[:2]) ; t.addmv(w * 1j, x * (1 + 1j), v * 1j, alpha=0.5, beta=2.0) ;
        t.nn.functional.interpolate(u[None, None], scale_factor=2, mode='nearest') ;
        t.nn.functional.interpolate(i[None, None], scale_factor=1.7, mode='bilinear') ;
        t.quantile(x, t.tensor([0.3, 0.9]), dim=1) ; t.nanquantile(n, 0.4, dim=1) ; t.linalg.vector_norm(n[3], -3.0) ;
        t.linalg.vector_norm(x, 2.5, dim=1) ; t.linalg.vector_norm(x * 0, 3.0) ; t.linalg.norm(v, -2.5)
    """)
    cases += spread("t.NAME_copy(ARGS)", NAME="alias|detach|diagonal|squeeze|t|unbind", ARGS="x|q")
    cases += calls("""
        t.permute_copy(c, (2, 0, 1)) ; t.transpose_copy(c, 0, 2) ; t.expand_copy(o, (2, 3)) ; t.select_copy(c, 1, -1) ;
        t.unbind_copy(c, 2) ;
        t.slice_copy(c, 1, 0, 3, 2) ; t.slice_copy(x, 1, -2) ; t.slice_copy(x, 0, 2, 1) ; t.split_copy(x, 3, 1) ;
        t.split_with_sizes_copy(x, [1, 3], 1) ; t.unsqueeze_copy(x, 1) ; t.view_copy(x, (2, 6)) ; t.unfold_copy(x, 1, 2, 2) ;
        t.as_strided_copy(x, (2, 2), (1, 3), 1) ; t.view_as_real_copy(x * 1j) ; t.view_as_complex_copy(x.reshape(3, 2, 2)) ;
        t.squeeze_copy(one, 1) ; t.diagonal_copy(c, 1, 0, 2)
    """)
    names = "bartlett|blackman|cosine|hamming|hann|nuttall|kaiser|gaussian|exponential|general_hamming"
    cases += spread("t.signal.windows.NAME(ARGS)", NAME=names, ARGS="7|8, sym=False|1|0|5, dtype=t.float64")  # fmt: skip
    cases += calls("""
        t.signal.windows.general_cosine(6, a=[0.4, 0.3, 0.3]) ; t.signal.windows.kaiser(6, beta=3.0) ;
        t.signal.windows.gaussian(6, std=2.5) ;
        t.signal.windows.exponential(6, sym=False, center=1.0, tau=3.0) ; t.signal.windows.hann(-1) ;
        t.signal.windows.hann(3, dtype=t.int64) ;
        t.signal.windows.gaussian(3, std=0.0)
    """)
    return cases


GROUPS = {
    "reductions": reductions,
    "products": products,
    "softmaxes": softmaxes,
    "movements": movements,
    "comparisons": comparisons,
    "creations": creations,
    "further": further,
}


def cases() -> list[str]:
    """All expressions, each once."""
    return list(dict.fromkeys(case for group in GROUPS.values() for case in group()))


ERRORS = (IndexError, ValueError, TypeError, RuntimeError)  # PyTorch's error for wrong arguments of every kind


def evaluate(case: str, module: Any, functional: Any, make: Any) -> tuple[Exception | None, list[np.ndarray]]:
    """What an expression gives: its error (None without one), and its results as arrays.

    Python numbers, bools and shapes are arrays, too; a pair of tensors is two. Views are read through their memory.
    """
    named = set(re.findall(r"\w+", case))  # no others: not every device has all dtypes
    scope = {name: make(array) for name, array in inputs().items() if name in named}
    try:
        result = eval(case, {"t": module, "F": functional, **scope})
        parts = (
            list(result)
            if isinstance(result, (tuple, list)) and any(hasattr(part, "numpy") for part in result)
            else [result]
        )
        arrays = [part.detach().cpu().numpy() if hasattr(part, "detach") else np.array(part) for part in parts]
        return None, [np.array(array) for array in arrays]
    except ERRORS as error:
        return error, []


def pytorch() -> types.SimpleNamespace:
    """PyTorch as `evaluate` takes it."""
    import torch

    return types.SimpleNamespace(
        module=torch, functional=torch.nn.functional, make=lambda array: torch.from_numpy(array.copy())
    )
