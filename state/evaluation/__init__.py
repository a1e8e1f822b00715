"""Estimates and statistics from what was logged: pure functions of events, slates and rewards."""
