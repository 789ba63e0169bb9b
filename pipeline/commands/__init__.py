"""The commands, thin: heavy imports happen inside them."""
