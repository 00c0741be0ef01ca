"""The dashboard's page, as a resource that hosts of MCP Apps show.

Source: https://github.com/modelcontextprotocol/ext-apps/blob/main/specification/2026-01-26/apps.mdx
"""

from mcp.server.apps import APP_MIME_TYPE, Apps
from mcp.server.mcpserver.resources import FunctionResource

from tollbook.tools.answers.names import DASHBOARD_URI


def page() -> Apps:
    """The page, made when it is first read. It asks for nothing from anywhere: no `csp` is declared."""

    def html() -> str:
        from tollbook.spend.render.dashboard.page import app_html

        return app_html()

    apps = Apps()
    apps.add_resource(
        FunctionResource(
            uri=DASHBOARD_URI,
            name="dashboard",
            title="Bedrock spend dashboard",
            description="The page of the dashboard, for hosts that show MCP Apps. It holds no figures.",
            mime_type=APP_MIME_TYPE,
            meta={"ui": {"prefersBorder": True}},
            fn=html,
        )
    )
    return apps
