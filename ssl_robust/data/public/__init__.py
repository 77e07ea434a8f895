"""Public sets as their owners hand them out: one reader per file, each with its YAML in `configs/data/`."""
