"""What do people say happens when in a video, and in which tool's format is it written?"""
