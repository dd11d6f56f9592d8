"""An HTTP API and a page for teams. It uses ``workspace`` alone; nothing is here yet."""
