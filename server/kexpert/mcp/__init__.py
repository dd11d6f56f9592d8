"""A server for AI agents over the Model Context Protocol. It uses ``workspace`` alone; nothing is here yet."""
