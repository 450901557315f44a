"""Actors apart from the learner: groups of environments in threads, processes or on other machines."""
