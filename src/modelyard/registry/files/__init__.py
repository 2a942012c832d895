"""Which files there are, in which packages, of what content; and the hot lookup."""
