"""What a collection can find, measured: edits, and how they are searched for."""
