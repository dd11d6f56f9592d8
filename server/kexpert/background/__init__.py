"""What the index and search both stand on: the tree on disk, databases, locks, worker threads and processes.

Nothing here knows what is stored.
"""
