"""A server under attack, and what its other clients notice of that."""
