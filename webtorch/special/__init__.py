"""Special functions under PyTorch's names: rows of the op table, and expressions of rows that run on every device."""

from .. import functional as _functional
from ..ops import TABLE as _TABLE
from .bessel import (
    airy_ai,
    bessel_j0,
    bessel_j1,
    bessel_y0,
    bessel_y1,
    i0e,
    i1,
    i1e,
    modified_bessel_i0,
    modified_bessel_i1,
    modified_bessel_k0,
    modified_bessel_k1,
    scaled_modified_bessel_k0,
    scaled_modified_bessel_k1,
    spherical_bessel_j0,
)
from .errors import entr, erfcx, log_ndtr, ndtr, ndtri, xlog1py
from .gamma import gammainc, gammaincc, multigammaln, polygamma, zeta
from .polynomials import (
    chebyshev_polynomial_t,
    chebyshev_polynomial_u,
    chebyshev_polynomial_v,
    chebyshev_polynomial_w,
    hermite_polynomial_h,
    hermite_polynomial_he,
    laguerre_polynomial_l,
    legendre_polynomial_p,
    shifted_chebyshev_polynomial_t,
    shifted_chebyshev_polynomial_u,
    shifted_chebyshev_polynomial_v,
    shifted_chebyshev_polynomial_w,
)

digamma = psi = _TABLE["digamma"]
erf, erfc, erfinv = _TABLE["erf"], _TABLE["erfc"], _TABLE["erfinv"]
exp2, expm1, log1p = _TABLE["exp2"], _TABLE["expm1"], _TABLE["log1p"]
expit, logit, sinc, i0 = _TABLE["sigmoid"], _TABLE["logit"], _TABLE["sinc"], _TABLE["i0"]
mvlgamma = multigammaln  # its name at top level
gammaln = _TABLE["lgamma"]
log_softmax, softmax = _TABLE["log_softmax"], _TABLE["softmax"]
logsumexp = _functional.logsumexp
round, xlogy = _TABLE["round"], _TABLE["xlogy"]

__all__ = [
    "airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "chebyshev_polynomial_t", "chebyshev_polynomial_u",
    "chebyshev_polynomial_v", "chebyshev_polynomial_w", "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "exp2", "expit",
    "expm1", "gammainc", "gammaincc", "gammaln", "hermite_polynomial_h", "hermite_polynomial_he", "i0", "i0e", "i1", "i1e",
    "laguerre_polynomial_l", "legendre_polynomial_p", "log1p", "log_ndtr", "log_softmax", "logit", "logsumexp",
    "modified_bessel_i0", "modified_bessel_i1", "modified_bessel_k0", "modified_bessel_k1", "multigammaln", "ndtr", "ndtri",
    "polygamma", "psi", "round", "scaled_modified_bessel_k0", "scaled_modified_bessel_k1", "shifted_chebyshev_polynomial_t",
    "shifted_chebyshev_polynomial_u", "shifted_chebyshev_polynomial_v", "shifted_chebyshev_polynomial_w", "sinc", "softmax",
    "spherical_bessel_j0", "xlog1py", "xlogy", "zeta",
]  # fmt: skip
