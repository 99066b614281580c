// An echo server with Node's ws. Its first argument is the path of the library; it prints its port.
const { WebSocketServer } = await import(process.argv[2]);

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
server.on("connection", (socket) => {
  socket.on("message", (data, binary) => socket.send(data, { binary }));
  socket.on("error", () => {});
});
server.on("listening", () => console.log(server.address().port));
