"""Which scan to ask about next: one file, one function `score(pool, **values)` and one YAML each."""
