"""One feature a file: (view, source, offset) -> plain dataclass. No I/O, no protocol types."""
