"""What kernel C means. Pure: no I/O, no protocol types, no threads."""
