"""What is learnt from embeddings, and what is in the model folder?"""
