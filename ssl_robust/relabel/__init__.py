"""Better labels from doubtful ones: who is asked what, what was answered, and when it is enough."""
