"""Which CNN looks at the frames, and where do its weights come from?"""
