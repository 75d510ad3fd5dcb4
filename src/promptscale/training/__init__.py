"""Training: the loss, the step of a batch of runs, the loop, and resuming."""
