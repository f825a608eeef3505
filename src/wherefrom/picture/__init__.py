"""Untrusted bytes to pixels and facts."""
