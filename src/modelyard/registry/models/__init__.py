"""Registered models, their versions, and logged models."""
