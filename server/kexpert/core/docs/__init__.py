"""kernel-doc comments and the reStructuredText in them.

Plain comments are read here too; the pages of Documentation/ are cut up by ``core.retrieval``.
"""
