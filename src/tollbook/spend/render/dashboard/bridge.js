// Talking to the host of an MCP App: JSON-RPC 2.0 by postMessage, without an SDK.
// Source: https://github.com/modelcontextprotocol/ext-apps/blob/main/specification/2026-01-26/apps.mdx

const PROTOCOL_VERSION = "2026-01-26";
const OVERVIEW_TOOL = "show_bedrock_dashboard";
const DETAIL_TOOL = "drill_into_bedrock_spend";
const PATIENCE_MS = 8000; // some hosts deliver neither input nor result: then the page asks for itself
const METHOD_NOT_FOUND = -32601;

/** Connects to the host around this page. `page` takes what arrives: `context(context)`, `result(result)`,
 *  `cancelled(reason)`, `silent()` and `failed(message)`. */
function connect(page) {
  const waiting = new Map();
  let lastId = 0;
  const post = (message) => parent.postMessage({ jsonrpc: "2.0", ...message }, "*"); // its origin is not told
  const host = {
    capabilities: {},
    input: {},
    notify: (method, params) => post({ method, params }),
    request: (method, params) =>
      new Promise((resolve, reject) => {
        lastId += 1;
        waiting.set(lastId, { resolve, reject });
        post({ id: lastId, method, params });
      }),
  };

  const heard = new Map([
    ["ui/notifications/tool-input", ({ arguments: input }) => (host.input = input ?? {})],
    ["ui/notifications/tool-result", (result) => page.result(result)],
    ["ui/notifications/tool-cancelled", ({ reason }) => page.cancelled(reason)],
    ["ui/notifications/host-context-changed", (context) => page.context(context)],
  ]);
  const answered = new Set(["ping", "ui/resource-teardown"]);

  addEventListener("message", ({ source, data }) => {
    if (source !== parent || data?.jsonrpc !== "2.0") return;
    const { id, method, params, result, error } = data;
    if (method === undefined) settle(waiting, id, result, error);
    else if (id === undefined) heard.get(method)?.(params ?? {});
    else if (answered.has(method)) post({ id, result: {} });
    else post({ id, error: { code: METHOD_NOT_FOUND, message: "Method not found" } });
  });

  const appInfo = { name: "tollbook-dashboard", version: "1" };
  const appCapabilities = { availableDisplayModes: ["inline", "fullscreen"] };
  host.request("ui/initialize", { protocolVersion: PROTOCOL_VERSION, appInfo, appCapabilities }).then(
    ({ hostCapabilities, hostContext }) => {
      host.capabilities = hostCapabilities ?? {};
      page.context(hostContext ?? {});
      host.notify("ui/notifications/initialized", {});
      tellSize(host);
      setTimeout(() => page.silent(), PATIENCE_MS);
    },
    (fault) => page.failed(fault.message),
  );
  return host;
}

function settle(waiting, id, result, error) {
  const one = waiting.get(id);
  waiting.delete(id);
  if (error) one?.reject(new Error(error.message));
  else one?.resolve(result);
}

/** Calls a tool of the server behind the host; what it answers must hold a document that `isWanted`. */
async function callTool(host, name, input, isWanted) {
  if (!host.capabilities.serverTools) throw new Error("This host lets no page call tools.");
  const result = await host.request("tools/call", { name, arguments: input });
  if (result.isError) throw new Error(textOf(result) || "The tool failed without a word.");
  const found = documentIn(result, isWanted);
  if (!found) throw new Error("The tool's answer holds no figures.");
  return found;
}

/** The document in a result. Some hosts leave out the structured content, others all text. */
function documentIn({ structuredContent, _meta, content }, isWanted) {
  const texts = (content ?? []).filter((part) => part?.type === "text" && /^\s*\{/.test(part.text));
  const candidates = [structuredContent, ...Object.values(_meta ?? {}), ...texts.map(({ text }) => parsed(text))];
  return candidates.find((value) => value && isWanted(value)) ?? null;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function textOf({ content }) {
  return (content ?? [])
    .map((part) => part?.text ?? "")
    .join(" ")
    .trim();
}

/** Tells the host how large the page is, after each reflow that changes it. */
function tellSize(host) {
  const root = document.documentElement;
  let told = "";
  let frame = 0;
  const measure = () => {
    frame = 0;
    const height = root.style.height;
    root.style.height = "max-content"; // else the frame's own height is what is measured
    const size = { width: Math.ceil(innerWidth), height: Math.ceil(root.getBoundingClientRect().height) };
    root.style.height = height;
    if (told === JSON.stringify(size)) return;
    told = JSON.stringify(size);
    host.notify("ui/notifications/size-changed", size);
  };
  const soon = () => {
    frame ||= requestAnimationFrame(measure);
  };
  const observer = new ResizeObserver(soon);
  observer.observe(root);
  observer.observe(document.body);
  soon();
}

/** Takes over the host's theme, language, style and margins. */
function wear({ theme: name, locale, styles, safeAreaInsets: inset }) {
  if (name) theme.host = name;
  if (locale) state.language = locale;
  for (const [property, value] of Object.entries(styles?.variables ?? {})) {
    if (property.startsWith("--") && value) document.documentElement.style.setProperty(property, value);
  }
  if (inset)
    document.body.style.padding = ["top", "right", "bottom", "left"].map((side) => `${inset[side] ?? 0}px`).join(" ");
  paintTheme();
}
