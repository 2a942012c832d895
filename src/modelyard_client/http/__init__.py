"""Requests to the server: connections that stay, tries again, and what refusals mean."""
