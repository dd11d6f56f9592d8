"""Questions about a name instead of a position: what it is, who calls it, where it is used. Answers are data.

For those who have no cursor: agents, pages, commands. Questions about a place in a file are in the other folders.
"""
