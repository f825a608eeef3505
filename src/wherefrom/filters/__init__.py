"""The filter language: what can be asked of images, as a tree and as text."""
