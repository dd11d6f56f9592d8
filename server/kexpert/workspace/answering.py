"""``answering``: front ends that answer on threads mark their questions, so that indexing lets them go first."""

from kexpert.background.foreground import answering

__all__ = ["answering"]
