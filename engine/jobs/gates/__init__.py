"""Gates: does the dream tell success from failure where the policy goes?"""
