"""What the client keeps on this machine, and reads of it."""
