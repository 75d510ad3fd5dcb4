"""Facts and settings as data; the leaf that everything else may import."""
