"""What is seen in this video, and when?"""
