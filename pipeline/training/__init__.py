"""The head is found: the fit loop, the losses and the optimizer, the state of a run."""
