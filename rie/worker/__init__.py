"""Runs execution environments on this machine: processes, pipes, timers, callers that wait.

It carries out what the core orders and decides nothing itself.
"""
