"""Data sets as other tools read them; the readers of what those tools write are in `ssl_robust.data`."""
