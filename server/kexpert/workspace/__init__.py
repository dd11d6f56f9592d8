"""The protocol-free façade: settings, open documents, life cycle, and every question as a method.

Front ends use this alone. No type of a protocol is known here.
"""
