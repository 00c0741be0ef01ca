"""The dashboard, in a browser: as a file, and inside a host of MCP Apps."""
