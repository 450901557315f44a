"""Acting: from observations to actions, with a learned network and with exploration."""
