"""kexpert: a language server for people who write Linux kernel C."""

__version__ = "0.1.0"
