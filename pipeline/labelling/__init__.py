"""Which labels are wrong, which clips are alike, and which should get a label next?"""
