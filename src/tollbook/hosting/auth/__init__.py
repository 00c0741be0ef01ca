"""Who may ask: access tokens and API keys, and what a client must know to get one."""
