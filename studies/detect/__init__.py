"""A detector for a person's own images, from the command line: fit, score, inspect, export.

A page a command. What is heavy is imported once the options are known, so that ``--help`` answers
at once.
"""
