"""An HTTP API and a page for teams. It stands on ``workspace`` alone; nothing is here yet."""
