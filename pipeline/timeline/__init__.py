"""When does what happen in a long video, and how well is that known?"""
