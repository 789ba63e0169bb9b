"""With which files does a project start, and which code does it run?

`files/` holds links to dvc.yaml, params.yaml and the others at the top of the repository: written
once, they serve the clone, the wheel and every project that `clipcache init` makes.
"""
