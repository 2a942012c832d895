"""Hugging Face's API, as its clients read it."""
