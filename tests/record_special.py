"""Write tests/goldens/special.json: special functions at chosen points, computed with 40 digits by mpmath.

python tests/record_special.py (needs mpmath, which the tests do not)
"""

import json
import pathlib

import mpmath as mp
import numpy as np

mp.mp.dps = 40
HALF = mp.mpf(1) / 2


def single(value):
    """The nearest number that float32 has: what is recorded holds for both precisions."""
    return float(np.float32(value)) if isinstance(value, float) else value


def chebyshev(kind, x, n):
    before, last = mp.mpf(1), {"t": x, "u": 2 * x, "v": 2 * x - 1, "w": 2 * x + 1}[kind]
    if n == 0:
        return before
    for _ in range(n - 1):
        before, last = last, 2 * x * last - before
    return last


AROUND = [-30.5, -9.25, -7.0, -3.5, -1.25, -0.5, -0.01, 0.0, 0.125, 0.75, 1.0, 2.0, 2.5, 4.0, 6.5, 8.0, 12.25, 50.0]
POSITIVE = [value for value in AROUND if value > 0]
PROBABILITIES = [1e-30, 1e-12, 1e-4, 0.03125, 0.1, 0.25, 0.5, 0.75, 0.9375, 0.999]
ORDERS = [
    (a, a * share)
    for a in (0.125, 1.0, 3.5, 12.0, 40.0, 63.5, 64.5, 150.0, 2000.0)
    for share in (0.5, 0.9375, 1.0, 1.0625, 1.5)
]
DEGREES = [(x, n) for x in (-1.5, -1.0, -0.375, 0.25, 1.0, 1.75) for n in (0, 1, 2, 5, 9)]
ONE = {
    "erfcx": (lambda x: mp.exp(x * x) * mp.erfc(x), [x for x in AROUND if x > -9]),
    "ndtr": (mp.ncdf, [x for x in AROUND if abs(x) < 9]),
    "log_ndtr": (lambda x: mp.log(mp.ncdf(x)), [x for x in AROUND if x < 9]),
    "ndtri": (lambda p: mp.sqrt(2) * mp.erfinv(2 * p - 1), PROBABILITIES),
    "entr": (lambda x: -x * mp.log(x), POSITIVE),
    "bessel_j0": (lambda x: mp.besselj(0, x), AROUND),
    "bessel_j1": (lambda x: mp.besselj(1, x), AROUND),
    "bessel_y0": (lambda x: mp.bessely(0, x), POSITIVE),
    "bessel_y1": (lambda x: mp.bessely(1, x), POSITIVE),
    "i0e": (lambda x: mp.exp(-abs(x)) * mp.besseli(0, x), AROUND),
    "i1": (lambda x: mp.besseli(1, x), AROUND),
    "i1e": (lambda x: mp.exp(-abs(x)) * mp.besseli(1, x), AROUND),
    "modified_bessel_i0": (lambda x: mp.besseli(0, x), AROUND),
    "modified_bessel_i1": (lambda x: mp.besseli(1, x), AROUND),
    "modified_bessel_k0": (lambda x: mp.besselk(0, x), POSITIVE),
    "modified_bessel_k1": (lambda x: mp.besselk(1, x), POSITIVE),
    "scaled_modified_bessel_k0": (lambda x: mp.exp(x) * mp.besselk(0, x), POSITIVE),
    "scaled_modified_bessel_k1": (lambda x: mp.exp(x) * mp.besselk(1, x), POSITIVE),
    "spherical_bessel_j0": (lambda x: mp.sinc(x), AROUND),
    "airy_ai": (mp.airyai, [x for x in AROUND if x < 20]),
    "polygamma_0": (lambda x: mp.polygamma(0, x), POSITIVE),
    "polygamma_1": (lambda x: mp.polygamma(1, x), POSITIVE),
    "polygamma_3": (lambda x: mp.polygamma(3, x), POSITIVE),
    "multigammaln_3": (lambda x: mp.log(mp.pi) * 3 / 2 + sum(mp.loggamma(x - k * HALF) for k in range(3)), [1.5, 2.75, 30.0]),
}  # fmt: skip
TWO = {
    "xlog1py": (lambda x, y: x * mp.log1p(y), [(2.5, -0.5), (-3.0, 1e-8), (0.0, 5.0)]),
    "gammainc": (lambda a, x: mp.gammainc(a, 0, x, regularized=True), ORDERS),
    "gammaincc": (lambda a, x: mp.gammainc(a, x, mp.inf, regularized=True), ORDERS),
    "zeta": (mp.zeta, [(1.5, 1.0), (2.0, 0.25), (3.0, 7.5), (19.0, 10.5), (2.0, 300.0), (4.0, -2.5)]),
    **{f"chebyshev_polynomial_{k}": (lambda x, n, k=k: chebyshev(k, x, n), DEGREES) for k in "tuvw"},
    **{f"shifted_chebyshev_polynomial_{k}": (lambda x, n, k=k: chebyshev(k, 2 * x - 1, n), DEGREES) for k in "tuvw"},
    "hermite_polynomial_h": (lambda x, n: mp.hermite(n, x), DEGREES),
    "hermite_polynomial_he": (lambda x, n: 2 ** (-mp.mpf(n) / 2) * mp.hermite(n, x / mp.sqrt(2)), DEGREES),
    "laguerre_polynomial_l": (
        lambda x, n: mp.fsum((-x) ** k * mp.binomial(n, k) / mp.factorial(k) for k in range(n + 1)),
        DEGREES,
    ),
    "legendre_polynomial_p": (lambda x, n: mp.legendre(n, x), DEGREES),
}


def main() -> None:
    answers = {}
    for name, (function, points) in ONE.items():
        points = [single(x) for x in points]
        answers[name] = [[x, float(mp.re(function(mp.mpf(x))))] for x in points]
    for name, (function, points) in TWO.items():
        points = [(single(x), single(y)) for x, y in points]
        answers[name] = [
            [x, y, float(mp.re(function(mp.mpf(x), mp.mpf(y) if isinstance(y, float) else y)))] for x, y in points
        ]
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in answers.items()]
    path = pathlib.Path(__file__).parent / "goldens" / "special.json"
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
