"""Learning: from samples to parameters, in compiled calls that know no replay and no loop."""
