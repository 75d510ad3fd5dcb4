"""The miniature world: a generated language, its corpus and every dataset of the paper in it."""
