"""Repositories, revisions and commits."""
