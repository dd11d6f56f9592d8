"""Files that are no C: Kconfig, Makefiles, .config and defconfig, MAINTAINERS. What they name, outline, completion,
diagnostics that are certain. What Kconfig says is parsed in ``core.kernel``."""
