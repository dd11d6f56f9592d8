"""The kernel's own files and rules: Kconfig, Kbuild, MAINTAINERS, locking annotations.

C itself is in ``core.c``.
"""
