"""What clips are there, with which label, group and split?"""
