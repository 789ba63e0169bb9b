"""What can be typed after `clipcache`? The commands are thin: heavy imports happen inside them."""
