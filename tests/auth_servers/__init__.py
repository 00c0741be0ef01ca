"""Authorization servers on loopback: one of the tests' own that does wrong when it is told to, and three of others."""
