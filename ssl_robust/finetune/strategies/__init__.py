"""One file per strategy, each with its YAML in `configs/strategy/`."""
