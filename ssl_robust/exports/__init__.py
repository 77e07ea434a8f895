"""The encoders that are there, listed and shown, and one of them in another library's format."""
