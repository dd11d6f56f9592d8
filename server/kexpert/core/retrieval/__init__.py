"""The pure part of retrieval: chunks, stems, abbreviations, and the features of the ranking.

The trainer uses it too. Databases, vectors and processes are in ``search``.
"""
