"""The command `myd`: the only part that prints."""
