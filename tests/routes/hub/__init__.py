"""Hugging Face's API over a real socket."""
