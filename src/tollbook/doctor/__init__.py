"""What is wrong along the whole chain, from AWS's logs to a host's login, and what to do about it."""
