"""What all faces share: parameters, calls, listings, transfers, failures and URLs."""
