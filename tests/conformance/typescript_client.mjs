// What someone else's client sees: node typescript_client.mjs URL legacy|auto
// Prints one JSON object.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const [url, mode] = process.argv.slice(2);
const client = new Client(
  { name: 'someone-else', version: '1.0.0' },
  { capabilities: { elicitation: {} }, versionNegotiation: { mode } },
);
const asked = [];
client.setRequestHandler('elicitation/create', ({ params }) => {
  asked.push(params.message);
  return { action: 'accept', content: { ok: true } };
});

await client.connect(new StreamableHTTPClientTransport(new URL(url)));
const { tools } = await client.listTools();
const progress = [];
const call = (name, options) => client.callTool({ name, arguments: {} }, options);
const counted = await call('test_tool_with_progress', { onprogress: (step) => progress.push(step) });
const confirmed = await call('test_input_required_result_request_state');
const failed = await call('test_error_handling');
const read = await client.readResource({ uri: 'test://template/7/data' });
const version = client.getNegotiatedProtocolVersion();
await client.close();

console.log(
  JSON.stringify({
    version,
    tools: tools.map(({ name }) => name),
    progress: progress.map(({ progress, total, message }) => ({ progress, total, message })),
    counted: counted.content[0].text,
    asked,
    confirmed: confirmed.content[0].text,
    failed: failed.isError,
    read: read.contents[0].text,
  }),
);
