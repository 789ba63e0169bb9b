"""How do frames become embeddings: with which weights, by which engine, in which processes?"""
