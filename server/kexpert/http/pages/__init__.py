"""The page for browsers: HTML made here, which works without the script; the script adds what a click fetches."""
