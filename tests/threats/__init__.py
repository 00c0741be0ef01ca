"""The threats of authentication, by number: what is sent, and what must come of it. See docs/security.md."""
