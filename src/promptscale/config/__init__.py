"""The configuration: facts and settings as data, and the grid of jobs that follows from them."""
