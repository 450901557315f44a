"""Acting: from observations to actions, by what was learned and by exploration."""
