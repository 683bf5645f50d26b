"""Linear algebra under PyTorch's names.

Products, norms, LU, Cholesky and triangular systems, and what is made of them (solve, inverses, determinants), run as
kernels for float32 (float64 where the adapter has it) matrices of up to 192 rows. QR, eigenvalues and singular values
are computed by numpy: on a GPU that means to the host and back, which warns once and is counted by
`webtorch.webgpu.host_fallbacks()`.
"""

from .checks import LinAlgError
from .factor import cholesky, cholesky_ex, householder_product, lu, lu_factor, lu_factor_ex, qr
from .ldl import ldl_factor, ldl_factor_ex, ldl_solve
from .norms import (
    cross,
    diagonal,
    matmul,
    matrix_exp,
    matrix_norm,
    matrix_power,
    multi_dot,
    norm,
    vander,
    vecdot,
    vector_norm,
)
from .spectral import cond, eig, eigh, eigvals, eigvalsh, matrix_rank, pinv, svd, svdvals
from .systems import (
    det,
    inv,
    inv_ex,
    lstsq,
    lu_solve,
    slogdet,
    solve,
    solve_ex,
    solve_triangular,
    tensorinv,
    tensorsolve,
)

__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "cond", "cross", "det", "diagonal", "eig", "eigh", "eigvals",
    "eigvalsh", "householder_product", "inv", "inv_ex", "ldl_factor", "ldl_factor_ex", "ldl_solve", "lstsq", "lu",
    "lu_factor", "lu_factor_ex", "lu_solve", "matmul", "matrix_exp", "matrix_norm", "matrix_power", "matrix_rank",
    "multi_dot", "norm", "pinv", "qr", "slogdet", "solve", "solve_ex", "solve_triangular", "svd", "svdvals", "tensorinv",
    "tensorsolve", "vander", "vecdot", "vector_norm",
]  # fmt: skip
