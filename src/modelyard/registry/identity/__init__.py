"""Issuers of id tokens, and who is trusted by them."""
