"""kernel-doc comments and the reStructuredText in them.

Plain comments are read here too. ``core.retrieval`` splits the pages of Documentation/.
"""
