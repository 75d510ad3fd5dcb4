"""Training: the loss, one step for a bank of runs, the loop, and resuming."""
