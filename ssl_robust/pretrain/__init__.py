"""Self-supervised pretraining: an encoder from scans alone."""
