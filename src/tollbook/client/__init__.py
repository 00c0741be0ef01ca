"""A client for any MCP server: by HTTP or as a process of this machine, in both eras of the protocol.

It speaks the protocol itself (docs/adr/0010 says why) and leaves logins to the SDK.
"""
