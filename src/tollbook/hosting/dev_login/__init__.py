"""A login for a laptop: an authorization server inside the server that it protects.

It asks for no password and takes everyone for whom he says he is. It exists to try out what differs from caller to
caller, with the clients that people use, and no account anywhere. It is the same OAuth 2.1 as elsewhere: what a client
can do here, it can do with a real authorization server.

Sources:
    https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization
    RFC 6749, RFC 7009, RFC 7591, RFC 7636, RFC 8252, RFC 8414, RFC 8707, RFC 9068, RFC 9207, RFC 9700
"""

from tollbook.hosting.dev_login.login import DevLogin
from tollbook.hosting.dev_login.place import refuse_elsewhere
from tollbook.hosting.dev_login.users import DevUser

__all__ = ["DevLogin", "DevUser", "refuse_elsewhere"]
