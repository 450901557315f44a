"""A page from runs: curves, scores, profiles and settings to look at in a browser, offline."""
