"""Policies: how a slate is drawn from ranked candidates, and how probable each choice was."""
