"""What commands show in a terminal, and as plain lines where there is none."""
