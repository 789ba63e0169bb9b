"""The HTML pages: one self-contained file each, which opens without a network."""
