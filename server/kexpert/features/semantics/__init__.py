"""The meaning of an expression: its symbol, type, value and expansion. Every other feature uses it."""
