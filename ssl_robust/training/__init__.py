"""What the training loops share: optimisers and their rates, seeds, resuming, what a person sees."""
