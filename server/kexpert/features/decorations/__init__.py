"""What an editor draws into a text by itself: colours, inactive branches, hints, lenses, links. Not diagnostics."""
