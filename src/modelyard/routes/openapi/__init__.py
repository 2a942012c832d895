"""The OpenAPI document: what FastAPI knows of all faces, completed."""
