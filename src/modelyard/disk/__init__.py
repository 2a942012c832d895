"""Asked of the file system: that files outlive a power failure, are their owner's alone, and are named by errors."""
