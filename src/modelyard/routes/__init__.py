"""FastAPI routers: read the request, ask one service, write the answer."""
