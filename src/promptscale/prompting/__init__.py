"""Prompts for a user's own task: what `promptscale.load` and the commands share."""
