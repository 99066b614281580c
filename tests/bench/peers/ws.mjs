// A server with Node's ws: its arguments are the path of the library, what to do (echo, broadcast, deflate or tls), and
// for TLS a certificate and its key. It prints its port.
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";

const [library, mode, certificate, key] = process.argv.slice(2);
const { WebSocketServer } = await import(library);

// What asks for no WebSocket is refused as `ws` refuses it on a port of its own.
const refuse = (_, response) => response.writeHead(426).end();
const server =
  mode === "tls"
    ? https.createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, refuse)
    : http.createServer(refuse);
const sockets = new WebSocketServer({ server, perMessageDeflate: mode === "deflate" });
const members = new Set();

sockets.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("close", () => members.delete(socket));
  socket.on("message", (data, binary) => {
    if (mode !== "broadcast") {
      socket.send(data, { binary });
    } else if (!members.has(socket)) {
      members.add(socket);
      socket.send(data, { binary });
    } else {
      for (const member of members) member.send(data, { binary });
    }
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
