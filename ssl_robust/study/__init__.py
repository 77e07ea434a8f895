"""A grid of trainings under label noise: its cells, what runs them, and the table of what they measured."""
