"""Answers: (view, source, offset, config) -> a plain dataclass. No I/O, no protocol types.

A feature with more than one file has a folder. How an answer looks is ``render``'s.
"""
