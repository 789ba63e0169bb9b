"""How do frames become embeddings: by which engine, in which processes, and what is left to do?"""
