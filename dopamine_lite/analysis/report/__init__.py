"""A web page about runs, to read offline: curves, scores, profiles and settings."""
