"""Acting on duplicates: files that could go are moved to the bin or to a folder, or share what they hold."""
