"""The official MCP conformance suite, and other people's clients, against our hosting."""
