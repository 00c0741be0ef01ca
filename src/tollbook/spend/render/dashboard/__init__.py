"""The dashboard: one page with its style and its script, and its figures inside or asked of the host it runs in."""
