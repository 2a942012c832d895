"""Blobs in a bucket of S3-compatible object storage; needs the extra `modelyard[s3]`."""
