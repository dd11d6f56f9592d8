"""Hover cards, one kind of thing a file."""
