"""What was computed before, where is it kept, and under which key?"""
