"""Matrix products that are the same on every machine.

BLAS sums a float32 product in an order that depends on the shape, the row and the CPU. So equal rows can get results
that differ in the last bits, and a ranking by them depends on the machine. Here sums are float64, with an error of
about 1e-15, and the result is rounded to far fewer digits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Digits after the point; the error of a float64 sum is nine digits further down.
DECIMALS = 6


def product(left: NDArray[np.floating[Any]], right: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """``left @ right`` as float32, rounded to ``DECIMALS``. Factors should be about 1."""
    summed = left.astype(np.float64) @ right.astype(np.float64)
    return np.round(summed, DECIMALS).astype(np.float32)
