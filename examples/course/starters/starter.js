// Listens and prints what each peer sends. Your WebSocket server begins here.
//
// run: node starter.js [ADDRESS]
const net = require("node:net");

const address = process.argv[2] ?? "127.0.0.1:9001";
const colon = address.lastIndexOf(":");
const [host, port] = [address.slice(0, colon), Number(address.slice(colon + 1))];

const server = net.createServer((socket) => {
  // Node calls this for each piece of the stream that arrives. A piece may begin and end anywhere.
  socket.on("data", (bytes) => process.stdout.write(bytes));
  socket.on("error", (error) => console.error(error.message));
  // Next: wait for the empty line, then answer with socket.write("HTTP/1.1 ...").
});

server.listen(port, host, () => {
  const { address, port } = server.address();
  console.log(`listening on ws://${address}:${port}`);
});
