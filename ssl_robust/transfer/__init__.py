"""How good are an encoder's features on labelled scans, beside those of a random encoder and of a histogram."""
