"""Triton attention kernels."""
