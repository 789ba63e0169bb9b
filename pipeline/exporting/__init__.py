"""How does a trained model go to another runtime, and is it still the same there?"""
