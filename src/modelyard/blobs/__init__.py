"""Where the bytes of model files lie: one protocol, and the stores that keep it."""
