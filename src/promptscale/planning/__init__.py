"""What a configuration costs: runs, jobs, FLOPs, accelerator-hours and storage."""
