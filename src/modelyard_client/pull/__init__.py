"""Files on their way down."""
