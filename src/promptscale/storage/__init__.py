"""Files on the local disk and objects in buckets, and atomic writes."""
