"""One module per rule that computes: it reads a job's files and writes its results."""
