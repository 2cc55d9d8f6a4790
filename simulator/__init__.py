"""A market that is known to the last level, the venues that tell of it, and what breaks them."""
