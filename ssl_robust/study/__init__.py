"""A study: a grid of trainings under label noise, and what it says about sets, encoders and strategies."""
