"""What did the model look at?"""
