"""C as the kernel writes it: tokens, masking, parsing, extraction, scopes, struct layouts.

One file at a time; what spans the tree is the index's.
"""
