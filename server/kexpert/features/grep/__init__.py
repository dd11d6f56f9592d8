"""Text and regular expressions in the bodies of a tree: which literals a match must hold, and the search itself.

Search by meaning is ``features.search``.
"""
