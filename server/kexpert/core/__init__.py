"""What kernel C means: text in, facts out. Pure: no I/O, no protocol types, no threads.

``text``, ``paths`` and ``symbols`` are what the folders share. How answers look is ``render``'s.
"""
