"""Serving: the address, uvicorn, one process or several, and a stop that nobody notices."""
