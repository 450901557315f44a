"""Learning: from samples to parameters, in compiled calls without a replay or a loop."""
