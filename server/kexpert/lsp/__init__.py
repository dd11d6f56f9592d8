"""The only part that knows the Language Server Protocol."""
