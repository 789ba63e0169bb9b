"""A trained model as one file for another runtime, compared with the original before it is kept."""
