"""Answers as text: Markdown, plain text, JSON. Each is written once, for every front end."""
