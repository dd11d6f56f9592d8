"""The ``kexpert`` command: one file a command. ``main`` dispatches."""
