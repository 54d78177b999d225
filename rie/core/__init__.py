"""The rules of Lambda as plain values and functions: no I/O, no clock, no await.

A reader starts at events.py (what can happen, what is to be done), states.py (the
tables) and environment.py (the machine that moves by them).
"""
