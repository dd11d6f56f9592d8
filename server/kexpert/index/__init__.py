"""What is on disk: the symbol store, how it is built and kept fresh, and the one view over it."""
