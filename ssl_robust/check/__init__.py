"""What is in the data, and what in it would deceive a training: the report before anything is trained."""
