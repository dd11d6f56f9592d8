"""What an expression means: its symbol, its type, its value, its expansion. Used by every other feature."""
