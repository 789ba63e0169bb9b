"""Ways to share clips out to train, val and test; one module per way."""
