"""The meaning of kernel C: text in, facts out. Pure: no I/O, no protocol types, no threads.

The folders share ``text``, ``paths`` and ``symbols``. ``render`` formats answers.
"""
