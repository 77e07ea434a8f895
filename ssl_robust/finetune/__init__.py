"""Fine-tuning on labels of which some may be wrong: one loop, one file per noise-robust strategy."""
