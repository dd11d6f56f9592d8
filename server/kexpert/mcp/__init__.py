"""A server for AI agents over the Model Context Protocol. It stands on ``workspace`` alone; nothing is here yet."""
