"""Facts on disk: what each file of a tree defines, calls, assigns and mentions, kept fresh.

Search by meaning is in ``search``.
"""
