"""Answers as text: Markdown, plain text, JSON. Each is written once, for every front end.

``markup`` is what Markdown and plain text differ in; ``hover_card`` and ``documentation`` put an answer together.
"""
