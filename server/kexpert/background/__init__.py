"""Shared by index and search: the tree on disk, databases, locks, a worker thread, worker processes.

The contents of the databases are in ``index`` and ``search``.
"""
