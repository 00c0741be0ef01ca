// A host of MCP Apps, made of the parts that ext-apps gives to those who write one.
import { AppBridge, PostMessageTransport, getToolUiResourceUri } from "@modelcontextprotocol/ext-apps/app-bridge";
import { Client } from "@modelcontextprotocol/client";

/** Messages to and from the server, which the test holds. */
class ToServer {
  async start() {}
  async close() {}
  async send(message) {
    const { name, arguments: args } = message.params ?? {};
    if (message.method === "tools/call") window.heard?.calls.push({ name, arguments: args });
    for (const text of await window.toServer(JSON.stringify(message))) this.onmessage?.(JSON.parse(text));
  }
}

const client = new Client(
  { name: "a host", version: "1" },
  { capabilities: { extensions: { "io.modelcontextprotocol/ui": { mimeTypes: ["text/html;profile=mcp-app"] } } } },
);
await client.connect(new ToServer());
const { tools } = await client.listTools();
const results = new Map();

/** What `tool` answered the first time. */
async function resultOf(tool, args) {
  const asked = JSON.stringify([tool, args]);
  if (!results.has(asked)) results.set(asked, await client.callTool({ name: tool, arguments: args }));
  return structuredClone(results.get(asked));
}

/** Calls a tool and shows its page. `faults` has what hosts get wrong: what they leave out of a result (`without`), that
 *  its text is another one (`text`), that they deliver nothing (`silent`), that no page may call tools (`noTools`). */
async function show(tool, args, context, sandbox, faults) {
  const result = await resultOf(tool, args);
  for (const part of faults.without ?? []) delete result[part];
  if (faults.text)
    result.content = [{ type: "text", text: JSON.stringify(results.values().next().value.structuredContent) }];
  if (faults.error) Object.assign(result, { isError: true, content: [{ type: "text", text: faults.error }] });
  const uri = getToolUiResourceUri(tools.find(({ name }) => name === tool));
  const { contents } = await client.readResource({ uri });

  await window.bridge?.close();
  const heard = (window.heard = { sizes: [], calls: [], ready: false });
  const frame = document.createElement("iframe");
  Object.assign(frame, { id: "view", title: "The dashboard", sandbox: "allow-scripts", src: sandbox });
  document.body.replaceChildren(frame);

  const capabilities = { openLinks: {}, logging: {}, ...(faults.noTools ? {} : { serverTools: {} }) };
  const bridge = (window.bridge = new AppBridge(client, { name: "a host", version: "1" }, capabilities, {
    hostContext: context,
  }));
  bridge.addEventListener("initialized", () => {
    heard.ready = true;
    if (faults.silent) return;
    bridge.sendToolInput({ arguments: args });
    bridge.sendToolResult(result);
  });
  bridge.addEventListener("sizechange", ({ width, height }) => {
    heard.sizes.push({ width, height });
    frame.style.height = `${height}px`;
  });
  bridge.addEventListener("sandboxready", () => bridge.sendSandboxResourceReady({ html: contents[0].text }));
  await bridge.connect(new PostMessageTransport(frame.contentWindow, frame.contentWindow));
}

window.host = { show };
