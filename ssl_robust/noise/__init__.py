"""Label noise: made for experiments, estimated and described."""
