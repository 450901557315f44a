"""Experiments from Python: train, resume, evaluate and film. The command line is built on it."""
