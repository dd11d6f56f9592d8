"""The Model Context Protocol for AI agents: tools that answer by name, over stdio or mounted into a team's server.

It translates between the protocol and ``workspace``; what an answer says is made in ``features`` and ``render``.
"""
