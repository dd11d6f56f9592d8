"""C of the kernel: tokens, masking, parsing, extraction, scopes, struct layouts.

One file at a time; facts about the whole tree are in ``index``.
"""
