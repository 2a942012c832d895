"""Whose id tokens are believed, and what they open."""
