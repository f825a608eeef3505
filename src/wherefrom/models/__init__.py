"""Neural networks that a user may add: cards that describe them, their files, and sessions that run them."""
