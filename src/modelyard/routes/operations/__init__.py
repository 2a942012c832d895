"""What machines ask about the server itself: probes and metrics."""
