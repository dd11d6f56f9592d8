"""An HTTP API and a page for teams, read-only: ``kexpert web``. It uses ``workspace``, ``render`` and ``core`` alone.

``endpoints`` is the one table from which routing, checking of arguments and OpenAPI are made; ``api/`` answers with
JSON, ``pages/`` with HTML, ``guard`` decides who may ask.
"""
