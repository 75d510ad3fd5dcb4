"""Files on the local disk and objects in buckets, and writes that leave nothing half-written."""
