"""What index and search share: the tree on disk, databases, locks, a worker thread, worker processes.

Nothing here knows what is stored.
"""
