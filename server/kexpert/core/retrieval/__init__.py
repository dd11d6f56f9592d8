"""What search compares: chunks, stems, abbreviations, and the features of a ranking.

Pure, and shared with the trainer. Databases, vectors and processes are in ``search``.
"""
