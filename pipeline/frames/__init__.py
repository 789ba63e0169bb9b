"""Which pictures does a clip hold, and which of them does the CNN see, in what size and view?"""
