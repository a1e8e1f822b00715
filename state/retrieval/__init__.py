"""Candidate sources, one a file, and their blend."""
