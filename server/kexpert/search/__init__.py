"""Search by meaning: chunks, posting lists, vectors, ranking, kept in step with the index.

Facts about symbols are in ``index``; the words and features that are compared, in ``core.retrieval``.
"""
