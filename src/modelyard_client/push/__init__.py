"""Files on their way up."""
