"""Inline completion (ghost text): context for the model, and which suggestions are shown."""
