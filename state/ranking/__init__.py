"""The learned ranker: features of candidates, trees over them, and the order they give."""
