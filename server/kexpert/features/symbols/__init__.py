"""Symbols of a file and of the tree; folding and selection ranges."""
