"""Logins at servers: how they are kept, how they are put on requests, how they are made."""
