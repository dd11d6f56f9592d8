"""Matrix products whose numbers depend on their row and column alone.

A float32 product is summed in an order that BLAS chooses by the shape, the row and the CPU, so equal
rows get results that differ in their last bits, and an order made from them depends on the machine.
Here sums are taken in float64, whose error is some 1e-15, and rounded far above that error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Digits kept; the error of a float64 sum lies nine digits below.
DECIMALS = 6


def product(left: NDArray[np.floating[Any]], right: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """``left @ right`` for factors of about 1, as float32 with six decimals."""
    summed = left.astype(np.float64) @ right.astype(np.float64)
    return np.round(summed, DECIMALS).astype(np.float32)
