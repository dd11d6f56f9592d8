"""Search by meaning as a user sees it: results with the lines that match. The index is in ``kexpert.search``."""
