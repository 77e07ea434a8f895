"""Scans -> vectors: timm models, their checkpoints with a card, and the `embed` stage."""
