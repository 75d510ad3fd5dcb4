"""Training: the loss, one step for a batch of runs, the loop, and resuming."""
