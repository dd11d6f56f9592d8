"""Errors that the user can fix."""

from __future__ import annotations


class UserError(ValueError):
    """A mistake in what a command was given. The message is one line: what is wrong, where, and how to fix it."""
