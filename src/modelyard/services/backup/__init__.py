"""A whole registry, elsewhere: copies of its database and its blobs, and back."""
