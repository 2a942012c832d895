"""The servers that are compared, each started, filled and addressed in one way."""
