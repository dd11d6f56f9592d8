"""Jumps, references, call hierarchy, rename."""
