"""Where a model looked, and the pictures of it."""
