"""The scores where several labels may hold for a clip: what they are, and how they are told."""
