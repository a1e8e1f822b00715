"""What feedback has taught of the value of an exposure: the posterior that learning policies go by."""
