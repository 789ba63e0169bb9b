"""How good is it, against what, and how is that shown?"""
