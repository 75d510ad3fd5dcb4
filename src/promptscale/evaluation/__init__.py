"""Dev sets, predictions and the tasks' metrics."""
