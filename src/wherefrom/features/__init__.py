"""What is computed from a picture; each feature is a pure function of it."""
