"""One file per kind of scan file: what a file holds by its header, and its scans as arrays."""
